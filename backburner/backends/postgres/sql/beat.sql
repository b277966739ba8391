-- Renew a live lease, and say what its node holds; no row where the lease is over.
-- $1 now · $2 the node's id · $3 for how long
WITH
-- include clock
, beat AS (
    UPDATE {schema}.nodes SET lease_until = now + $3 FROM clock WHERE id = $2 AND lease_until > now
    RETURNING now, drain
)
SELECT json_build_object('now', now, 'drain', drain, 'claims', (
    SELECT coalesce(json_agg(json_build_object('id', id, 'token', token, 'cancel', cancel_reason IS NOT NULL)), '[]')
    FROM {schema}.jobs WHERE state = 'running' AND node = $2))::text
FROM beat
