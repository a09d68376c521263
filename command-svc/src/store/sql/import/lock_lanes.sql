-- As append will, and when that was done: from here to the commit others wait.
with locked as (
    select id from lane where id = any ($1::smallint[]) order by id for update
)
select clock_timestamp() from (select count(*) from locked) all_of_them
