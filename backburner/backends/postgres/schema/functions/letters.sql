-- Dead letters as they were found, each once and in order; those that are so still are locked. `busy` are those that others
-- have locked, `missed` those that are not dead under that token any more; `parent` is the job that stored it, `holding` the
-- unique key that it would hold once it is pending.
CREATE OR REPLACE FUNCTION {schema}.letters(given json, moment bigint) RETURNS TABLE (
    id text, args text, retry text, gate text, parent text, holding text, busy boolean, missed boolean
) LANGUAGE plpgsql ROWS 1000 AS $$
#variable_conflict use_column
DECLARE
    elsewhere text[] := locked_elsewhere(ARRAY(SELECT each ->> 'id' FROM json_array_elements(given) AS each));
BEGIN
    RETURN QUERY
        SELECT
            l.id, l.args, l.retry, coalesce(l.gate, ''), j.parent,
            CASE WHEN 'pending' = ANY (j.unique_states) OR j.unique_until > moment THEN j.unique_key END,
            l.id = ANY (elsewhere), j.id IS NULL
        FROM (
            SELECT *, row_number() OVER (PARTITION BY found.id ORDER BY found.nth) AS copy
            FROM ROWS FROM (json_to_recordset(given) AS (id text, token bigint, args text, retry text, gate text))
                WITH ORDINALITY AS found (id, token, args, retry, gate, nth)
        ) AS l
        LEFT JOIN jobs AS j ON j.id = l.id AND j.token = l.token AND j.state IS NOT DISTINCT FROM 'dead'
        WHERE l.copy = 1
        ORDER BY l.nth;
END
$$;
