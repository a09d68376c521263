select stock.product_id, stock.on_hand, stock.reserved, stock.version, stock.updated_at,
    product.created_at
from stock
join product on product.id = stock.product_id
where stock.product_id > $1
order by stock.product_id
limit $2
