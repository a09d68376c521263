insert into stock (product_id, on_hand, reserved, version, updated_at)
select product_id, on_hand, reserved, version, updated_at
from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::timestamptz[])
    as t (product_id, on_hand, reserved, version, updated_at)
