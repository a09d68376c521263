select id, name, name_key, parent_id, retired, version, created_at, updated_at
from category
where id > $1
order by id
limit $2
