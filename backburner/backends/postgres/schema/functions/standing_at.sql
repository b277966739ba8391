-- Those of these lanes where others stand. Until this transaction ends none of them is emptied, so that nobody is put behind
-- those who are let in meanwhile; one that is being looked at is not among them, and whoever comes is judged by a claim. Nor is
-- a budget: it lives on first attempts. Never waits.
CREATE OR REPLACE FUNCTION {schema}.standing_at(names text[]) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
    RETURN ARRAY(
        SELECT l.name FROM lanes AS l
        WHERE l.name = ANY (names) AND l.parked
          AND (SELECT deposit FROM limits WHERE name = split_part(l.name, '/', 1)) IS NULL
          AND (
              SELECT true FROM jobs AS j
              WHERE j.state = 'pending' AND j.gate = 'lane:' || l.name AND j.gate >= 'lane:' AND j.gate < 'lane;' LIMIT 1)
        FOR SHARE OF l SKIP LOCKED);
END
$$;
