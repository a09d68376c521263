update stock
set on_hand = $2, reserved = $3, version = $4, updated_at = $5
where product_id = $1
