-- Lanes that are not 1, 2, 3 … up to their head.
select l.id as lane, l.head, count(e.seq) as events, coalesce(max(e.seq), 0) as last
from lane l
left join event e on e.lane = l.id
group by l.id, l.head
having count(e.seq) <> l.head or coalesce(max(e.seq), 0) <> l.head
order by l.id
