-- Let the first at each of these keys' gates into the line, where the key is free; return how many were let in.
-- A key that another transaction decides about is left to the next release.
CREATE OR REPLACE FUNCTION {schema}.let_through(keys text[], moment bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    each text;
    first text;
    count integer := 0;
BEGIN
    FOR each IN SELECT DISTINCT key FROM unnest(keys) AS key ORDER BY key LOOP
        SELECT id INTO first FROM jobs
        WHERE state = 'pending' AND gate = 'unique:' || each AND gate >= 'unique:' AND gate < 'unique;'
        ORDER BY priority, due_at, id LIMIT 1;
        IF NOT FOUND OR NOT mine(each) OR holder(each, '', moment) IS NOT NULL THEN
            CONTINUE;
        END IF;
        UPDATE jobs SET gate = ''
        WHERE id = (
            SELECT id FROM jobs
            WHERE state = 'pending' AND gate = 'unique:' || each AND gate >= 'unique:' AND gate < 'unique;'
            ORDER BY priority, due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED);
        count := count + FOUND::integer;
    END LOOP;
    RETURN count;
END
$$;
