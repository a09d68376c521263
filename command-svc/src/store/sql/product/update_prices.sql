update product
set price_amount = t.price_amount, price_currency = t.price_currency, version = t.version,
    updated_at = t.updated_at
from unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::timestamptz[])
    as t (id, price_amount, price_currency, version, updated_at)
where product.id = t.id
