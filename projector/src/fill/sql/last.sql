select event_id, recorded_at
from event
where lane = $1 and seq = $2
