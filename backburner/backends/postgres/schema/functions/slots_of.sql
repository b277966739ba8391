-- The lanes of jobs, of those that have slots now.
CREATE OR REPLACE FUNCTION {schema}.slots_of(ids text[]) RETURNS TABLE (lane text, job text) LANGUAGE plpgsql ROWS 10 AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT asked.lane, j.id FROM jobs AS j CROSS JOIN LATERAL unnest(j.lanes) AS asked (lane)
        WHERE j.id = ANY (ids)
          AND (SELECT slots FROM limits WHERE name = split_part(asked.lane, '/', 1)) IS NOT NULL;
END
$$;
