-- Lock the rows of these lanes, made where there are none, passing over those that others have locked or are about to make;
-- answers those that were locked. Never waits.
CREATE OR REPLACE FUNCTION {schema}.lock_lanes(names text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    missing text[] := ARRAY(
        SELECT asked FROM unnest(names) AS asked WHERE (SELECT true FROM lanes WHERE name = asked) IS NULL);
BEGIN
    IF cardinality(missing) > 0 THEN
        INSERT INTO lanes (name) SELECT asked FROM unnest(missing) AS asked WHERE creating(asked) ON CONFLICT DO NOTHING;
    END IF;
    RETURN ARRAY(SELECT name FROM lanes WHERE name = ANY (names) FOR UPDATE SKIP LOCKED);
END
$$;
