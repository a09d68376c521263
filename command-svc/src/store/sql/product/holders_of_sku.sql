-- Rows of releases without keys are found by the sku as it was written.
select id, version
from product
where sku_key = $1 or (sku_key is null and sku = $2)
