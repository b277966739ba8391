-- How jobs of a final state went that match, and ended within a time, the last to end first; those below a moment and id,
-- without those lifted out.
-- $1 now · $2 state · $3 within · $4 moment, $5 id · $6 at most so many · {where} what the filter names, from $7 on
WITH
-- include clock
SELECT json_build_array((SELECT now FROM clock), coalesce(json_agg(json_build_array(
    id, kind, queue, attempt, failures, created_at, due_at, started_at, ended_at
    ) ORDER BY ended_at DESC, id DESC), '[]'))::text
FROM (
    SELECT * FROM (
        SELECT * FROM {schema}.jobs
        WHERE state = $2 AND ended_at IS NOT NULL AND NOT lifted
          AND ended_at >= (SELECT now FROM clock) - $3::bigint AND ended_at <= $4::bigint
          AND (ended_at < $4 OR id < $5)
        ORDER BY ended_at DESC, id DESC
        -- Whatever else the filter has an index for, they are walked in their order, and no further back than need be.
        OFFSET 0
    ) AS ended
    WHERE {where}
    LIMIT $6
) AS page
