select id, sku, sku_key, name, description, brand, price_amount, price_currency, attributes,
    listed, version, created_at, updated_at
from product
where id > $1
order by id
limit $2
