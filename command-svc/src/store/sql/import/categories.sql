-- The living categories at the nodes of a tree of names, whose roots have no parent. Rows of
-- releases without keys are found by the name as it was written.
with recursive wanted as (
    select node, parent, name, name_key
    from unnest($1::int[], $2::int[], $3::text[], $4::text[]) as t (node, parent, name, name_key)
),
found as (
    select wanted.node, root.id
    from wanted
    cross join lateral (
        select c.id
        from category c
        where c.parent_id is null and not c.retired
            and (c.name_key = wanted.name_key or (c.name_key is null and c.name = wanted.name))
        order by c.name_key
        limit 1
    ) root
    where wanted.parent is null
    union all
    select wanted.node, child.id
    from found
    join wanted on wanted.parent = found.node
    -- One look into the index a node, however the planner guesses.
    cross join lateral (
        select c.id
        from category c
        where c.parent_id = found.id and not c.retired
            and (c.name_key = wanted.name_key or (c.name_key is null and c.name = wanted.name))
        order by c.name_key
        limit 1
    ) child
)
select node, id from found
