-- $1 product, $2 its stream, $3 data of a price change
select append(
    (select epoch from epoch),
    array[lane_of($1)],
    array[gen_random_uuid()],
    array[$1::uuid],
    array[$2::text],
    array[(select max(stream_version) + 1 from event where stream_id = $2)],
    array['price-changed'],
    array[1::smallint],
    array[$3::jsonb],
    array['{}'::jsonb],
    null, null, null, '{}', '{}'
)
