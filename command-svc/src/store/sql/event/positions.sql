select e.lane, e.seq
from unnest($1::smallint[], $2::text[], $3::bigint[]) as asked (lane, stream_id, stream_version)
join event e using (lane, stream_id, stream_version)
