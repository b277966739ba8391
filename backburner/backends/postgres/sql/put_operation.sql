-- Write a new operation; no row where the id exists.
-- $1 now · $2 id · $3 action · $4 state · $5 active · $6 by · $7 reason · $8 a document for `append`, or NULL
WITH
-- include clock
, written AS (
    INSERT INTO {schema}.operations (id, action, state, active, asked_by, reason, created_at, changed_at)
    SELECT $2, $3, $4, $5, $6, $7, now, now FROM clock
    ON CONFLICT (id) DO NOTHING
    RETURNING true
)
SELECT true, CASE WHEN $8::text IS NOT NULL THEN {schema}.append($8::text::json)::text END FROM written
