-- Those of these names, each of two parts, that a subscription asks for.
CREATE OR REPLACE FUNCTION {schema}.wanted(names text[]) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
    -- One probe, and that is all where nobody subscribes.
    IF NOT EXISTS (SELECT FROM patterns) THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(
        SELECT asked.name FROM unnest(names) AS asked (name)
        WHERE (
            SELECT true FROM patterns
            WHERE pattern = ANY (ARRAY[asked.name, split_part(asked.name, '.', 1) || '.*', '*']) LIMIT 1));
END
$$;
