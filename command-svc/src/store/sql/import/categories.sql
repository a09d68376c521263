-- The living categories at the nodes of a tree of names, whose roots have no parent.
with recursive wanted as (
    select node, parent, name
    from unnest($1::int[], $2::int[], $3::text[]) as t (node, parent, name)
),
found as (
    select wanted.node, c.id
    from wanted
    join category c on c.parent_id is null and c.name = wanted.name and not c.retired
    where wanted.parent is null
    union all
    select wanted.node, c.id
    from found
    join wanted on wanted.parent = found.node
    join category c on c.parent_id = found.id and c.name = wanted.name and not c.retired
)
select node, id from found
