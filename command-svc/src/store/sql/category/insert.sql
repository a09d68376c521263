insert into category (id, name, parent_id, retired, version, created_at, updated_at, name_key)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict do nothing
