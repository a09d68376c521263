-- The locks belong to the session: they end with it, however it ends.
select wanted.partition
from unnest($1::int[]) as wanted (partition)
where pg_try_advisory_lock($2, wanted.partition)
