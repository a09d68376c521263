-- What the tree says around a category that shall have a name (or keep its own) below a parent
-- (where $3, else below its own): one row, with a witness for each thing that stands in the way.
with recursive wanted as (
    -- The key of one that had to give way is followed by a line end and its id.
    select c.id, coalesce($2::text, c.name) as name,
        coalesce($5::text, split_part(c.name_key, e'\n', 1)) as name_key,
        case when $3::boolean then $4::uuid else c.parent_id end as parent_id
    from category c
    where c.id = $1
),
down as (
    select c.id, 1 as level from category c where c.id = $1
    union all
    select child.id, down.level + 1
    from down
    join category child on child.parent_id = down.id and not child.retired
)
select
    (select max(level) from down) as height,
    child.id as child_id, child.version as child_version,
    sibling.id as sibling_id, sibling.version as sibling_version,
    member.id as product_id, member.version as product_version
from (values (1)) as one_row
left join lateral (
    select c.id, c.version
    from category c
    where c.parent_id = $1 and not c.retired
    limit 1
) child on true
left join lateral (
    select c.id, c.version
    from wanted
    join category c on c.parent_id is not distinct from wanted.parent_id
        and (c.name_key = wanted.name_key or c.name = wanted.name)
        and c.id <> wanted.id and not c.retired
    limit 1
) sibling on true
left join lateral (
    select p.id, p.version
    from product_category pc
    join product p on p.id = pc.product_id
    where pc.category_id = $1
    limit 1
) member on true
