select product_id, on_hand, reserved, version, updated_at
from stock
where product_id = any ($1::uuid[])
order by product_id
for no key update
