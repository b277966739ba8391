-- Operations, newest id first, those below $2.
-- $1 now · $2 · $3 active or not · $4 at most so many
WITH
-- include clock
SELECT json_build_array((SELECT now FROM clock), coalesce(json_agg(
-- include operation
    ORDER BY id DESC), '[]'))::text
FROM (
    SELECT * FROM {schema}.operations
    WHERE ($2::text IS NULL OR id < $2) AND ($3::boolean IS NULL OR active = $3)
    ORDER BY id DESC LIMIT $4
) AS found
