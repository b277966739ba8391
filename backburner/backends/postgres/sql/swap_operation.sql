-- Write how far an operation is, if it is of that version; no row where it is not.
-- $1 now · $2 id · $3 version · $4 state · $5 active · $6 a document for `append`, or NULL
WITH
-- include clock
, written AS (
    UPDATE {schema}.operations SET state = $4, active = $5, version = version + 1, changed_at = now
    FROM clock WHERE id = $2 AND version = $3
    RETURNING true
)
SELECT true, CASE WHEN $6::text IS NOT NULL THEN {schema}.append($6::text::json)::text END FROM written
