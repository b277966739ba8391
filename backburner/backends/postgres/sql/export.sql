-- Whole jobs that match, by id ascending, above $3.
-- $1 now · $2 at most so many · $3 · {where} what the filter names, from $4 on
WITH
-- include clock
SELECT json_build_array((SELECT now FROM clock), coalesce(json_agg(json_build_object(
    'record',
-- include record
    , 'unique_states', coalesce(unique_states, '{}'), 'unique_until', unique_until, 'asked', cancel_reason,
    'history', (
        SELECT coalesce(json_agg(
-- include attempt
            ORDER BY seq), '[]')
        FROM {schema}.attempts WHERE job = found.id)
    ) ORDER BY id), '[]'))::text
FROM {schema}.jobs AS found
WHERE id = ANY (ARRAY(SELECT id FROM {schema}.jobs WHERE id > $3 AND {where} ORDER BY id LIMIT $2))
