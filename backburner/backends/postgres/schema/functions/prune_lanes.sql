-- Delete what is left of lanes where nobody stands or runs, and of whose rate nothing is used: those after one, at most so many are
-- looked at. Answers after which one to go on.
CREATE OR REPLACE FUNCTION {schema}.prune_lanes(after text, most integer, moment bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    looked_at text[] := ARRAY(SELECT name FROM lanes WHERE name > after ORDER BY name LIMIT most);
    idle text[] := ARRAY(
        SELECT name FROM lanes WHERE name = ANY (looked_at) AND NOT parked AND opens_at IS NULL FOR UPDATE SKIP LOCKED);
BEGIN
    -- Seen anew, now that nobody else can count in a run.
    DELETE FROM lanes AS l
    WHERE l.name = ANY (idle) AND (SELECT true FROM held WHERE lane = l.name LIMIT 1) IS NULL
      AND coalesce((
          SELECT permits(h.rate, l.meter, moment) = permits(h.rate, '(,0,0,0)', moment)
          FROM limits AS h WHERE h.name = split_part(l.name, '/', 1) AND h.rate IS NOT NULL), true);
    RETURN coalesce(CASE WHEN cardinality(looked_at) = most THEN looked_at[most] END, '');
END
$$;
