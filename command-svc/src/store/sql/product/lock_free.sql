-- As `lock`, but without those that somebody else holds: it never waits.
select id, sku, name, description, brand, price_amount, price_currency, attributes, listed,
    version, created_at, updated_at
from product
where id = any ($1::uuid[])
order by id
for no key update skip locked
