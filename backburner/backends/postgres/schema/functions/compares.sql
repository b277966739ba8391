-- Compare what was found with a scalar by JSON's types: text with text, numbers with numbers, to the last digit, short of
-- those where each store would end elsewhere.
CREATE OR REPLACE FUNCTION {schema}.compares(found json, operator text, wanted json) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN found IS NULL OR json_typeof(found) IN ('object', 'array') THEN false
        WHEN json_typeof(found) <> json_typeof(wanted) THEN operator = '!='
        WHEN json_typeof(found) = 'number' THEN abs((found #>> '{}')::numeric) < 1e1000 AND CASE operator
            WHEN '=' THEN (found #>> '{}')::numeric = (wanted #>> '{}')::numeric
            WHEN '!=' THEN (found #>> '{}')::numeric <> (wanted #>> '{}')::numeric
            WHEN '<' THEN (found #>> '{}')::numeric < (wanted #>> '{}')::numeric
            WHEN '<=' THEN (found #>> '{}')::numeric <= (wanted #>> '{}')::numeric
            WHEN '>' THEN (found #>> '{}')::numeric > (wanted #>> '{}')::numeric
            WHEN '>=' THEN (found #>> '{}')::numeric >= (wanted #>> '{}')::numeric
            ELSE false END
        WHEN operator = '=' THEN found #>> '{}' IS NOT DISTINCT FROM wanted #>> '{}'
        WHEN operator = '!=' THEN found #>> '{}' IS DISTINCT FROM wanted #>> '{}'
        WHEN json_typeof(found) = 'string' THEN CASE operator
            WHEN '~' THEN strpos(found #>> '{}', wanted #>> '{}') > 0
            WHEN '<' THEN (found #>> '{}') COLLATE "C" < (wanted #>> '{}') COLLATE "C"
            WHEN '<=' THEN (found #>> '{}') COLLATE "C" <= (wanted #>> '{}') COLLATE "C"
            WHEN '>' THEN (found #>> '{}') COLLATE "C" > (wanted #>> '{}') COLLATE "C"
            WHEN '>=' THEN (found #>> '{}') COLLATE "C" >= (wanted #>> '{}') COLLATE "C"
            ELSE false END
        ELSE false
    END
$$;
