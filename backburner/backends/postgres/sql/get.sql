-- The jobs of these ids, as they are read.
-- $1 now · $2 ids
WITH
-- include clock
SELECT json_build_array((SELECT now FROM clock), coalesce(json_agg(
-- include record
    ), '[]'))::text
FROM {schema}.jobs
WHERE id = ANY ($2::text[])
