select event.*
from unnest($1::smallint[], $2::bigint[]) with ordinality as appended (lane, seq, place)
join event using (lane, seq)
order by appended.place
