-- All events of these streams, each in its own lane, a broadcast's other copies left out.
select e.lane, e.seq, e.event_id, e.subject, e.stream_id, e.stream_version, e.type, e.version,
    e.data, e.meta, e.epoch, e.recorded_at
from unnest($1::text[], $2::smallint[]) as asked (stream_id, lane)
join event e using (stream_id, lane)
order by e.stream_id, e.stream_version
