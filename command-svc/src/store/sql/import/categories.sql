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
    select wanted.node, child.id
    from found
    join wanted on wanted.parent = found.node
    -- One look into the index a node, however the planner guesses.
    cross join lateral (
        select c.id
        from category c
        where c.parent_id = found.id and c.name = wanted.name and not c.retired
        limit 1
    ) child
)
select node, id from found
