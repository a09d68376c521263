-- Answers the ids that went in; the others' skus are taken.
insert into product (
    id, sku, name, description, brand, price_amount, price_currency, attributes, listed, version,
    created_at, updated_at
)
select id, sku, name, description, brand, price_amount, price_currency, attributes, listed,
    version, created_at, updated_at
from unnest(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[],
    $8::jsonb[], $9::boolean[], $10::bigint[], $11::timestamptz[], $12::timestamptz[]
) as t (
    id, sku, name, description, brand, price_amount, price_currency, attributes, listed, version,
    created_at, updated_at
)
order by sku
on conflict (sku) do nothing
returning id
