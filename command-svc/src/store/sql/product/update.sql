update product
set name = t.name, description = t.description, brand = t.brand, price_amount = t.price_amount,
    price_currency = t.price_currency, attributes = t.attributes, listed = t.listed,
    version = t.version, updated_at = t.updated_at
from unnest(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::jsonb[],
    $8::boolean[], $9::bigint[], $10::timestamptz[]
) as t (
    id, name, description, brand, price_amount, price_currency, attributes, listed, version,
    updated_at
)
where product.id = t.id
