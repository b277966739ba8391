-- Let a node's lease be over.
-- $1 now · $2 the node's id
WITH
-- include clock
UPDATE {schema}.nodes SET lease_until = least(lease_until, now) FROM clock WHERE id = $2
