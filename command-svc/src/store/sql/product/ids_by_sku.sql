select sku, id, version
from product
where sku = any ($1::text[])
