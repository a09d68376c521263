-- Streams whose events made no row.
select distinct e.stream_id
from event e
where e.stream_version = 1
    and not exists (
        select from category c where e.stream_id = 'category-' || c.id
    )
    and not exists (
        select from product p where e.stream_id in ('product-' || p.id, 'stock-' || p.id)
    )
order by e.stream_id
