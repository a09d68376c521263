delete from product_category where product_id = any ($1::uuid[])
