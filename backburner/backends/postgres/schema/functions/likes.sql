-- What LIKE takes for patterns of names: `order.*` is all below `order.`, and `*` everything.
CREATE OR REPLACE FUNCTION {schema}.likes(patterns text[]) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT ARRAY(
        SELECT CASE
            WHEN p.pattern = '*' THEN '%'
            WHEN right(p.pattern, 2) = '.*' THEN left(p.escaped, -1) || '%'
            ELSE p.escaped END
        FROM (
            SELECT pattern, replace(replace(replace(pattern, '\', '\\'), '%', '\%'), '_', '\_') AS escaped
            FROM unnest(patterns) AS pattern
        ) AS p)
$$;
