update product
set sku_key = t.sku_key
from unnest($1::uuid[], $2::text[]) as t (id, sku_key)
where product.id = t.id
