-- Answers the ids that went in; the others' skus are taken.
insert into product (
    id, sku, sku_key, name, description, brand, price_amount, price_currency, attributes, listed,
    version, created_at, updated_at
)
select id, sku, sku_key, name, description, brand, price_amount, price_currency, attributes,
    listed, version, created_at, updated_at
from unnest(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
    $8::text[], $9::jsonb[], $10::boolean[], $11::bigint[], $12::timestamptz[],
    $13::timestamptz[]
) as t (
    id, sku, sku_key, name, description, brand, price_amount, price_currency, attributes, listed,
    version, created_at, updated_at
)
order by sku_key
on conflict do nothing
returning id
