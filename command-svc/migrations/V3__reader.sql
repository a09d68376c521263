-- The role under which projector and query-svc read the log, and nothing else.
--
-- Roles belong to the whole server, and several databases may be migrated at once.
do $$
begin
    create role tidemark_reader login;
    alter role tidemark_reader set default_transaction_read_only = on;
exception
    when duplicate_object or unique_violation then null;
end
$$;
grant select on epoch, lane, event to tidemark_reader;
