-- The attempts of a job that did not complete, oldest first.
-- $1 its id
SELECT coalesce(json_agg(
-- include attempt
    ORDER BY seq), '[]')::text
FROM {schema}.attempts
WHERE job = $1
