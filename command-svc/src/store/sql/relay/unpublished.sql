-- What the owned lanes hold beyond what was sent: a few events of each, the oldest of all lanes
-- first, as they stand in the log.
select next.lane, next.seq, next.event_id, next.subject, next.stream_id, next.stream_version,
    next.type, next.version, next.epoch, next.recorded_at, next.data::text as data,
    next.data ->> 'occurred_at' as occurred_at, next.meta ->> 'traceparent' as traceparent
from unnest($1::smallint[], $2::bigint[]) as sent (lane, seq)
join lane on lane.id = sent.lane and lane.head > sent.seq
cross join lateral (
    select *
    from event
    where event.lane = sent.lane and event.seq > sent.seq
    order by event.seq
    limit $3
) next
order by next.seq - sent.seq, next.lane
