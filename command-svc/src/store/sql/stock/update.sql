update stock
set on_hand = t.on_hand, reserved = t.reserved, version = t.version, updated_at = t.updated_at
from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::timestamptz[])
    as t (product_id, on_hand, reserved, version, updated_at)
where stock.product_id = t.product_id
