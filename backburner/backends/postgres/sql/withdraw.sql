-- Strike a node.
-- $1 its id · $2 a document for `append`, or NULL
WITH gone AS (DELETE FROM {schema}.nodes WHERE id = $1 RETURNING true)
SELECT true, CASE WHEN $2::text IS NOT NULL THEN {schema}.append($2::text::json)::text END FROM gone
