delete from idempotency
where (principal, key) in (
    select principal, key
    from idempotency
    where created_at < now() - interval '24 hours'
    order by created_at
    limit $1
    for update skip locked
)
