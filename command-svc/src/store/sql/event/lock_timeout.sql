-- Milliseconds, until the transaction ends.
select set_config('lock_timeout', $1, true)
