-- For which histories the watermark topic was made. A topic that was made and is missing is lost,
-- and with it what readers were shown: another history begins. One that never was is made.
create table watermark_topic (
    epoch bigint primary key,
    made_at timestamptz not null default clock_timestamp()
);
