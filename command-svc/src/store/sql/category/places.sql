-- The paths of the asked categories, each from its root down, with the position of every step's
-- last event in the step's own lane.
with recursive up as (
    select c.id as asked, c.id, c.name, c.parent_id, c.retired, c.version, 1 as step
    from category c
    where c.id = any ($1::uuid[])
    union all
    select up.asked, p.id, p.name, p.parent_id, p.retired, p.version, up.step + 1
    from up
    join category p on p.id = up.parent_id
)
select up.asked, up.id, up.name, up.retired, e.seq
from up
left join event e
    on e.stream_id = 'category-' || up.id
    and e.stream_version = up.version
    and e.lane = lane_of(up.id)
order by up.asked, up.step desc
