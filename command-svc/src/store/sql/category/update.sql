update category
set name = t.name, parent_id = t.parent_id, retired = t.retired, version = t.version,
    updated_at = t.updated_at, name_key = t.name_key
from unnest(
    $1::uuid[], $2::text[], $3::uuid[], $4::boolean[], $5::bigint[], $6::timestamptz[],
    $7::text[]
) as t (id, name, parent_id, retired, version, updated_at, name_key)
where category.id = t.id
