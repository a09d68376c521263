select product_id, category_id
from product_category
where product_id = any ($1::uuid[])
order by product_id, place
