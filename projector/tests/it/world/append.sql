select out_lane as lane, out_seq as seq
from append($1, $2, $3, $4, $5, $6, $7, $8, $9, array['{}'::jsonb], null, null, null, '{}', '{}')
