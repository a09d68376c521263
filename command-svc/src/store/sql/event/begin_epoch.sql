-- Any other number of 32 bits; nothing where somebody else has begun another one already.
update epoch
set epoch = (epoch + 1 + floor(random() * 4294967295)::bigint) % 4294967296
where epoch = $1
returning epoch
