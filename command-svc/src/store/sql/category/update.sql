update category
set name = $2, parent_id = $3, retired = $4, version = $5, updated_at = $6, name_key = $7
where id = $1
