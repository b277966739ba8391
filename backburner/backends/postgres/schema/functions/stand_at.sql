-- Have the next claim look at the lanes among these gates, where jobs were put without being refused. What cannot be locked is
-- left to the next release.
CREATE OR REPLACE FUNCTION {schema}.stand_at(gates text[], moment bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    names text[] := ARRAY(SELECT DISTINCT substr(gate, 6) FROM unnest(gates) AS gate WHERE gate >= 'lane:' AND gate < 'lane;');
BEGIN
    IF cardinality(names) > 0 THEN
        -- Before the update, which would not see those that this makes.
        names := lock_lanes(names);
        UPDATE lanes SET parked = true, opens_at = least(opens_at, moment) WHERE name = ANY (names);
    END IF;
END
$$;
