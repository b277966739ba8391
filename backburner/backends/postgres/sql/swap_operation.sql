-- Write how far an operation is, if it is of that version; no row where it is not.
-- $1 now · $2 id · $3 version · $4 state · $5 active
WITH
-- include clock
UPDATE {schema}.operations SET state = $4, active = $5, version = version + 1, changed_at = now
FROM clock WHERE id = $2 AND version = $3
RETURNING true
