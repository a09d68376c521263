select lane, seq, event_id, subject, stream_id, stream_version, type, version, data, meta, epoch,
    recorded_at
from event
where lane = $1 and (subject = $2 or subject is null) and seq > $3 and seq < $4
union all
select lane, seq, event_id, subject, stream_id, stream_version, type, version, data, meta, epoch,
    recorded_at
from event
where cardinality($5::text[]) > 0
    and lane = $1 and subject <> $2 and type = any ($5) and seq > $3 and seq < $4
order by seq
limit $6
