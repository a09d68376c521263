-- Streams whose events made no row. The streams are compared as texts, so that they can be hashed.
with row_stream as (
    select 'category-' || id as stream_id from category
    union all
    select 'product-' || id from product
    union all
    select 'stock-' || product_id from stock
)
select distinct e.stream_id
from event e
where e.stream_version = 1
    and not exists (select from row_stream r where r.stream_id = e.stream_id)
order by e.stream_id
