-- When the next job at one gate of a queue is due; what is due already and was not claimed is locked by somebody. As
-- `due_at_gate` has it, of these kinds and from there on.
CREATE OR REPLACE FUNCTION {schema}.next_due(asked_queue text, asked_gate text, kinds text[], floor json) RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    dues bigint[] := ARRAY(SELECT json_array_elements_text(floor -> 'dues')::bigint);
    ids text[] := ARRAY(SELECT json_array_elements_text(floor -> 'ids'));
BEGIN
    RETURN (
        SELECT min((
            SELECT j.due_at FROM jobs AS j
            WHERE j.state = 'pending' AND j.queue = asked_queue AND j.gate = asked_gate AND j.priority = rank.priority
              AND (j.due_at, j.id) >= (
                  coalesce(dues[rank.priority + 1], -9223372036854775808), coalesce(ids[rank.priority + 1], ''))
              AND (kinds IS NULL OR j.kind = ANY (kinds))
            ORDER BY j.due_at, j.id LIMIT 1))
        FROM generate_series(0, 9) AS rank (priority));
END
$$;
