-- In the order given: parents first, and the same order in every import, so none waits in a ring.
insert into category (id, name, name_key, parent_id, retired, version, created_at, updated_at)
select id, name, name_key, parent_id, false, 1, $5, $5
from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[]) with ordinality
    as t (id, name, name_key, parent_id, place)
order by place
