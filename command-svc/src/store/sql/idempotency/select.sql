select fingerprint, answer, lanes, seqs,
    case when sent_for = created_at then status end as status, headers, body
from idempotency
where principal = $1 and key = $2
