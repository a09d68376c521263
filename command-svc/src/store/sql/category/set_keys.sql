update category
set name_key = t.name_key
from unnest($1::uuid[], $2::text[]) as t (id, name_key)
where category.id = t.id
