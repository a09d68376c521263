-- What stands under these skus, with categories in order. Locks nothing. Rows of releases without
-- keys are found by the sku as it was written, and come last.
select p.id, p.sku, p.sku_key, p.name, p.description, p.brand, p.price_amount, p.price_currency,
    p.attributes, p.listed, p.version, p.created_at, p.updated_at,
    array(
        select pc.category_id
        from product_category pc
        where pc.product_id = p.id
        order by pc.place
    ) as category_ids
from product p
where p.sku_key = any ($1::text[]) or (p.sku_key is null and p.sku = any ($2::text[]))
order by p.sku_key
