-- The event log: lanes, events, and the one step that appends to it.

-- The identity of this history; names of topics and indexes carry it.
create table epoch (
    only_row boolean primary key default true check (only_row),
    epoch bigint not null check (epoch between 0 and 4294967295)
);
insert into epoch (epoch) values (floor(random() * 4294967296)::bigint);

-- Fixed for ever; the same as schemas::lane::Lane::of.
create function lane_of(subject uuid) returns smallint
language sql immutable strict parallel safe
return (get_byte(sha256(uuid_send(subject)), 0) & 63)::smallint;

-- A low fillfactor keeps the ever changing heads within their pages (HOT updates).
create table lane (
    id smallint primary key check (id between 0 and 63),
    head bigint not null default 0,
    recorded_at timestamptz not null default '-infinity'
) with (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
insert into lane (id) select generate_series(0, 63);

-- Event store and outbox in one; nothing is ever changed or deleted.
create table event (
    lane smallint not null references lane (id),
    seq bigint not null check (seq > 0),
    event_id uuid not null,
    subject uuid,
    stream_id text not null,
    stream_version bigint not null check (stream_version > 0),
    type text not null,
    version smallint not null,
    data jsonb not null check (octet_length(data::text) <= 262144),
    meta jsonb not null,
    epoch bigint not null,
    recorded_at timestamptz not null,
    primary key (lane, seq),
    unique (stream_id, stream_version, lane)
);
create index event_subject on event (lane, subject, seq);

-- How far each lane was published, coarsely; after a crash some events come twice.
create table relay (
    lane smallint primary key references lane (id),
    seq bigint not null default 0
);
insert into relay (lane) select id from lane;

create table idempotency (
    principal text not null,
    key text not null,
    fingerprint bytea not null,
    -- Null only inside the transaction that decides.
    answer jsonb,
    lanes smallint[] not null default '{}',
    seqs bigint[] not null default '{}',
    created_at timestamptz not null default now(),
    primary key (principal, key)
);
create index idempotency_created_at on idempotency (created_at);

-- Appends events and fills the answer into the idempotency row, if there is one.
--
-- The last step before commit. The lane locks are taken in order of id and held until commit: so
-- seq is dense and in commit order, and nobody ever sees n + 1 before n. Arrays run in parallel, an
-- element an event; a broadcast comes as one element a lane. `in_metas` has one for all of them, or
-- one for each. Answers the position of each element, in their order.
create function append(
    in_epoch bigint,
    in_lanes smallint[],
    in_event_ids uuid[],
    in_subjects uuid[],
    in_stream_ids text[],
    in_stream_versions bigint[],
    in_types text[],
    in_versions smallint[],
    in_data jsonb[],
    in_metas jsonb[],
    in_principal text,
    in_key text,
    in_answer jsonb,
    in_decided_lanes smallint[],
    in_decided_seqs bigint[]
) returns table (out_lane smallint, out_seq bigint, out_recorded_at timestamptz)
language plpgsql as $$
declare
    appended_lanes smallint[];
    appended_seqs bigint[];
begin
    if in_epoch <> (select epoch from epoch) then
        raise exception 'the epoch has changed' using errcode = 'TM001';
    end if;
    perform 1 from lane where id = any (in_lanes) order by id for update;

    return query
    with incoming as (
        select i.ordinality, i.lane, i.event_id, i.subject, i.stream_id, i.stream_version, i.type,
            i.version, i.data,
            row_number() over (partition by i.lane order by i.ordinality) as place
        from unnest(
            in_lanes, in_event_ids, in_subjects, in_stream_ids, in_stream_versions, in_types,
            in_versions, in_data
        ) with ordinality as i (
            lane, event_id, subject, stream_id, stream_version, type, version, data, ordinality
        )
    ),
    raised as (
        update lane
        set head = lane.head + counted.events,
            recorded_at = greatest(clock_timestamp(), lane.recorded_at)
        from (select incoming.lane, count(*) as events from incoming group by incoming.lane) counted
        where lane.id = counted.lane
        returning lane.id, lane.head - counted.events as base, lane.recorded_at
    ),
    appended as (
        insert into event (
            lane, seq, event_id, subject, stream_id, stream_version, type, version, data, meta,
            epoch, recorded_at
        )
        select i.lane, raised.base + i.place, i.event_id, i.subject, i.stream_id, i.stream_version,
            i.type, i.version, i.data, in_metas[least(i.ordinality, cardinality(in_metas))::int],
            in_epoch, raised.recorded_at
        from incoming i join raised on raised.id = i.lane
        returning event.lane, event.seq, event.event_id, event.recorded_at
    )
    select appended.lane, appended.seq, appended.recorded_at
    from appended join incoming using (lane, event_id)
    order by incoming.ordinality;

    if in_key is not null then
        select array_agg(lane.id), array_agg(lane.head) into appended_lanes, appended_seqs
        from lane where lane.id = any (in_lanes);
        update idempotency
        set answer = in_answer,
            lanes = coalesce(appended_lanes, '{}') || in_decided_lanes,
            seqs = coalesce(appended_seqs, '{}') || in_decided_seqs
        where principal = in_principal and key = in_key;
    end if;
end
$$;
