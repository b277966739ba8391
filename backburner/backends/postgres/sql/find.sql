-- The jobs that match, by id descending.
-- $1 now · $2 at most so many · {where} what the filter names, from $3 on
WITH
-- include clock
SELECT json_build_array((SELECT now FROM clock), coalesce(json_agg(
-- include record
    ORDER BY id DESC), '[]'))::text
FROM {schema}.jobs
-- Found by their ids first: an index may know all that is asked of them.
WHERE id = ANY (ARRAY(SELECT id FROM {schema}.jobs WHERE {where} ORDER BY id DESC LIMIT $2))
