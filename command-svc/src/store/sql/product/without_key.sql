select id, sku, sku_key, created_at
from product
where sku_key is null and sku > $1
order by sku
limit $2
for no key update
