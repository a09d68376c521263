select id, name, parent_id, retired, version, created_at, updated_at
from category
where $1::uuid is null or id > $1
order by id
limit $2
