-- Forget a kind's pause.
-- $1 name · $2 a document for `append`, or NULL
WITH gone AS (DELETE FROM {schema}.kinds WHERE name = $1)
SELECT CASE WHEN $2::text IS NOT NULL THEN {schema}.append($2::text::json)::text END
