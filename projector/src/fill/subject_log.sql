select lane, seq, event_id, subject, stream_id, stream_version, type, version, data, meta, epoch,
    recorded_at
from event
where lane = $1 and (subject = $2 or subject is null) and seq < $3
order by seq
