select lane, seq, event_id, subject, stream_id, stream_version, type, version, data, meta, epoch,
    recorded_at
from event
where lane = $1 and (subject, seq) > ($2, $3) and seq <= $4
order by subject, seq
limit $5
