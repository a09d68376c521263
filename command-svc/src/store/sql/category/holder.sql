select id, version
from category
where parent_id is not distinct from $1 and name = $2 and not retired
