-- The operations of these ids, newest id first.
-- $1 now · $2 ids
WITH
-- include clock
SELECT json_build_array((SELECT now FROM clock), coalesce(json_agg(
-- include operation
    ORDER BY id DESC), '[]'))::text
FROM {schema}.operations
WHERE id = ANY ($2::text[])
