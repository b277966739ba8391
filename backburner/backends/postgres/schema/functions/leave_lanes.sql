-- Let these runs count against no slots any more, and open the lanes where jobs may stand for it; answers how many. A claim that
-- parks somebody there just now is waited for, or he would not be seen; careful, that is left to the next release.
CREATE OR REPLACE FUNCTION {schema}.leave_lanes(ids text[], careful boolean, moment bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    names text[] := ARRAY(SELECT DISTINCT lane FROM held WHERE job = ANY (ids));
    opened integer;
BEGIN
    IF cardinality(names) = 0 THEN
        RETURN 0;
    END IF;
    IF careful THEN
        names := lock_lanes(names);
    ELSE
        PERFORM FROM lanes WHERE name = ANY (names) ORDER BY name FOR UPDATE;
    END IF;
    DELETE FROM held WHERE job = ANY (ids);
    UPDATE lanes SET opens_at = least(opens_at, moment) WHERE name = ANY (names) AND parked;
    GET DIAGNOSTICS opened = ROW_COUNT;
    RETURN opened;
END
$$;
