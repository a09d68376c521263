select id, parent_id, name, name_key, created_at
from category
where not retired
