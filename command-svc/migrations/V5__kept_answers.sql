-- Answers by idempotency key as they were sent, opaque to every release. The column `answer` beside
-- them is what earlier releases write and read.
alter table idempotency
    add column status smallint,
    -- Pairs of name and value.
    add column headers jsonb,
    add column body bytea,
    -- The row's `created_at` when these were written: an earlier release that takes over a key after
    -- its day leaves these columns as they are, and then they speak of another request.
    add column sent_for timestamptz;
