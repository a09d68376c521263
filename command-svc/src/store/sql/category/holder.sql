select id, version
from category
where parent_id is not distinct from $1 and not retired
    and (name_key = $3 or (name_key is null and name = $2))
order by name_key
limit 1
