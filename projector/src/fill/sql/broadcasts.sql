select lane, seq, event_id, subject, stream_id, stream_version, type, version, data, meta, epoch,
    recorded_at
from event
where lane = $1 and subject is null and seq > $2 and seq <= $3
union all
select lane, seq, event_id, subject, stream_id, stream_version, type, version, data, meta, epoch,
    recorded_at
from event
where cardinality($4::text[]) > 0
    and lane = $1 and subject is not null and type = any ($4) and seq > $2 and seq <= $3
order by seq
limit $5
