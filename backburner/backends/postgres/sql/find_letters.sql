-- The dead letters with such an error that match, by id descending.
-- $1 now · $2 at most so many · {where} what the filter names, from $3 on
WITH
-- include clock
SELECT json_build_array((SELECT now FROM clock), coalesce(json_agg(
-- include record
    ORDER BY id DESC), '[]'))::text
FROM {schema}.jobs
-- As `letters`, but each part ends where the page is full.
WHERE id = ANY (ARRAY(
    (
        SELECT id FROM {schema}.jobs
        WHERE state = 'dead' AND octet_length(error) + octet_length(message) <= 500 AND {where}
        ORDER BY id DESC LIMIT $2
    )
    UNION ALL
    (
        SELECT id FROM {schema}.jobs
        WHERE state = 'dead' AND octet_length(error) + octet_length(message) > 500 AND {where}
        ORDER BY id DESC LIMIT $2
    )
    ORDER BY id DESC LIMIT $2
))
