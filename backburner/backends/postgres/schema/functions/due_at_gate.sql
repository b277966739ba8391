-- The first due jobs at one gate of a queue (the empty gate is the line), locked, by priority, due time, id; those that
-- others have locked are passed over. Priority by priority, each one a probe: nothing is ever sorted.
-- `kinds` names the only ones wanted, NULL any; `floor` where to begin at each priority: {"dues": [due time], "ids": [id]},
-- NULL at the head.
CREATE OR REPLACE FUNCTION {schema}.due_at_gate(
    asked_queue text, asked_gate text, most integer, kinds text[], floor json, moment bigint
) RETURNS TABLE (id text, kind text, priority smallint, due_at bigint, lanes text[], attempt integer, failures integer) LANGUAGE plpgsql ROWS 100 AS $$
#variable_conflict use_column
DECLARE
    dues bigint[] := ARRAY(SELECT json_array_elements_text(floor -> 'dues')::bigint);
    ids text[] := ARRAY(SELECT json_array_elements_text(floor -> 'ids'));
BEGIN
    RETURN QUERY
        SELECT due.*
        FROM generate_series(0, 9) AS rank (priority)
        CROSS JOIN LATERAL (
            SELECT j.id, j.kind, j.priority, j.due_at, j.lanes, j.attempt, j.failures FROM jobs AS j
            WHERE j.state = 'pending' AND j.queue = asked_queue AND j.gate = asked_gate AND j.priority = rank.priority
              AND j.due_at <= moment
              AND (j.due_at, j.id) >= (
                  coalesce(dues[rank.priority + 1], -9223372036854775808), coalesce(ids[rank.priority + 1], ''))
              AND (kinds IS NULL OR j.kind = ANY (kinds))
            ORDER BY j.due_at, j.id
            LIMIT most
            FOR UPDATE SKIP LOCKED
        ) AS due
        LIMIT most;
END
$$;
