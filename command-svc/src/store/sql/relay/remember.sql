-- An owner that was thought dead may come late, and never takes a position back.
update relay
set seq = settled.seq
from unnest($1::smallint[], $2::bigint[]) as settled (lane, seq)
where relay.lane = settled.lane and relay.seq < settled.seq
