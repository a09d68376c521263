-- In the order given: parents first, and the same order in every import, so none waits in a ring.
insert into category (id, name, parent_id, retired, version, created_at, updated_at)
select id, name, parent_id, false, 1, $4, $4
from unnest($1::uuid[], $2::text[], $3::uuid[]) with ordinality as t (id, name, parent_id, place)
order by place
