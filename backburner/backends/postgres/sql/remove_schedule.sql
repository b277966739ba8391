-- Delete a schedule of that version; no row where there is none.
-- $1 name · $2 version · $3 a document for `append`, or NULL
WITH gone AS (DELETE FROM {schema}.schedules WHERE name = $1 AND version = $2 RETURNING true)
SELECT true, CASE WHEN $3::text IS NOT NULL THEN {schema}.append($3::text::json)::text END FROM gone
