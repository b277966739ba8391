-- Ask a live node to drain; no row where none has this id.
-- $1 now · $2 its id
WITH
-- include clock
UPDATE {schema}.nodes SET drain = true FROM clock WHERE id = $2 AND lease_until > now RETURNING true
