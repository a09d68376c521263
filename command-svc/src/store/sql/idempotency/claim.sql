-- One row where the key was free or its answer too old to be kept: it is ours now. None where a
-- twin has committed; one that is still deciding is waited for here.
insert into idempotency (principal, key, fingerprint)
values ($1, $2, $3)
on conflict (principal, key) do update
set fingerprint = excluded.fingerprint, answer = null, lanes = '{}', seqs = '{}',
    status = null, headers = null, body = null, sent_for = null,
    created_at = excluded.created_at
where idempotency.created_at < now() - interval '24 hours'
returning true
