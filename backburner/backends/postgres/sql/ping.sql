-- Whether any node's lease is over.
-- $1 now
WITH
-- include clock
SELECT EXISTS (SELECT FROM {schema}.nodes, clock WHERE lease_until <= now)
