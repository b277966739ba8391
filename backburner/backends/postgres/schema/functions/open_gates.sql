-- The gates of these queues at which anybody stands whom the node may be handed: of kinds that were unknown elsewhere, or
-- paused until lately, suspects, and misfits for other signatures. One probe a gate, however many stand there; as a join, EXISTS would read
-- the line once for all of them.
CREATE OR REPLACE FUNCTION {schema}.open_gates(
    asked text[], kinds text[], signatures json, suspect boolean
) RETURNS TABLE (queue text, gate text) LANGUAGE plpgsql ROWS 10 AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH RECURSIVE misfits (queue, gate) AS (
            SELECT q, 'misfit:' COLLATE "C" FROM unnest(asked) AS q WHERE signatures IS NOT NULL
            UNION ALL
            SELECT m.queue, (
                SELECT min(j.gate) FROM jobs AS j
                WHERE j.state = 'pending' AND j.queue = m.queue AND j.gate > m.gate AND j.gate < 'misfit;')
            FROM misfits AS m WHERE m.gate IS NOT NULL
        ),
        named (queue, gate) AS (
            SELECT q, g
            FROM unnest(asked) AS q
            CROSS JOIN LATERAL (
                SELECT 'suspect' AS g WHERE suspect
                UNION ALL
                SELECT 'unknown:' || k FROM unnest(kinds) AS k
                WHERE (
                    SELECT true FROM jobs AS j
                    WHERE j.state = 'pending' AND j.queue = q AND j.gate > 'unknown:' AND j.gate < 'unknown;' LIMIT 1)
                UNION ALL
                SELECT 'paused:' || k FROM unnest(kinds) AS k
                WHERE (
                    SELECT true FROM jobs AS j
                    WHERE j.state = 'pending' AND j.queue = q AND j.gate > 'paused:' AND j.gate < 'paused;' LIMIT 1)
            ) AS gates
        )
        SELECT n.queue, n.gate FROM named AS n
        WHERE (
            SELECT true FROM jobs AS j WHERE j.state = 'pending' AND j.queue = n.queue AND j.gate = n.gate LIMIT 1)
        UNION ALL
        SELECT m.queue, m.gate
        FROM misfits AS m
        -- misfit:<kind>:<signatures, separated by commas>; a kind may contain a colon, signatures do not.
        CROSS JOIN LATERAL (SELECT
            regexp_replace(substr(m.gate, 8), ':[^:]*$', '') AS kind, substring(m.gate FROM '[^:]*$') AS tried) AS misfit
        WHERE m.gate > 'misfit:' AND misfit.kind = ANY (kinds) AND signatures ->> misfit.kind IS NOT NULL
          AND (signatures ->> misfit.kind) <> ALL (string_to_array(misfit.tried, ','));
END
$$;
