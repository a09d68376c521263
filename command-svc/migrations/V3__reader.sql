-- The role under which projector and query-svc read the log, and nothing else.
--
-- Roles belong to the whole server, and several databases may be migrated at once. Where the role
-- is there already, nothing here needs CREATEROLE: managed servers do not give it away.
do $$
begin
    if not exists (select from pg_roles where rolname = 'tidemark_reader') then
        create role tidemark_reader login;
        alter role tidemark_reader set default_transaction_read_only = on;
    end if;
exception
    when duplicate_object or unique_violation then null;
end
$$;
grant select on epoch, lane, event to tidemark_reader;
