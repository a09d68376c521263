select event.lane, event.seq, event.recorded_at
from unnest($1::smallint[], $2::bigint[]) as waiting (lane, seq)
join event on event.lane = waiting.lane and event.seq = waiting.seq
