-- The answer as it is sent; `append` adds what earlier releases read, and the positions.
update idempotency
set status = $3, headers = $4, body = $5, sent_for = created_at
where principal = $1 and key = $2
