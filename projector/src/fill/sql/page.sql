select
    event.lane, event.seq, event.event_id, event.subject, event.stream_id, event.stream_version,
    event.type, event.version, event.data, event.meta, event.epoch, event.recorded_at
from unnest($1::smallint[], $2::bigint[]) as wanted (lane, seq)
cross join lateral (
    select * from event
    where event.lane = wanted.lane and event.seq >= wanted.seq
    order by event.seq
    limit $3
) event
