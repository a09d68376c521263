select fingerprint, answer, lanes, seqs
from idempotency
where principal = $1 and key = $2
