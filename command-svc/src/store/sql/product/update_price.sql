update product
set price_amount = $2, price_currency = $3, version = $4, updated_at = $5
where id = $1
