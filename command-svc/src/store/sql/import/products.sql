-- What stands under these skus, with categories in order. Locks nothing.
select p.id, p.sku, p.name, p.description, p.brand, p.price_amount, p.price_currency,
    p.attributes, p.listed, p.version, p.created_at, p.updated_at,
    array(
        select pc.category_id
        from product_category pc
        where pc.product_id = p.id
        order by pc.place
    ) as category_ids
from product p
where p.sku = any ($1::text[])
