-- Ask a live node to drain; no row where none has this id.
-- $1 now · $2 its id · $3 a document for `append`, or NULL
WITH
-- include clock
, done AS (
    UPDATE {schema}.nodes SET drain = true FROM clock WHERE id = $2 AND lease_until > now RETURNING true
)
SELECT true, CASE WHEN $3::text IS NOT NULL THEN {schema}.append($3::text::json)::text END FROM done
