insert into product_category (product_id, category_id, place)
select product_id, category_id, place
from unnest($1::uuid[], $2::uuid[], $3::smallint[]) as t (product_id, category_id, place)
