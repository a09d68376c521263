select id, sku, sku_key, created_at
from product
where sku_key = any ($1::text[])
for no key update
