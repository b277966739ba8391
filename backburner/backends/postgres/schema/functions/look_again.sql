-- See to it that a lane where jobs stand opens, whatever became of who should have opened it: at once if there is room, else when
-- there is a permit, else when a run ends. Tells whether it opens at once, and did not before. One that others have locked is being
-- looked at.
CREATE OR REPLACE FUNCTION {schema}.look_again(lane text, moment bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    found record;
    opening bigint := moment;
BEGIN
    IF NOT judging() OR cardinality(lock_lanes(ARRAY[lane])) = 0 THEN
        RETURN false;
    END IF;
    SELECT l.opens_at, l.meter, h.slots, h.rate INTO found
    FROM lanes AS l LEFT JOIN limits AS h ON h.name = split_part(lane, '/', 1) WHERE l.name = lane;
    IF found.slots <= (SELECT count(*) FROM (SELECT FROM held WHERE held.lane = look_again.lane LIMIT found.slots) AS running) THEN
        opening := NULL;
    ELSIF found.rate IS NOT NULL THEN
        opening := next_permit(found.rate, found.meter, moment);
    END IF;
    UPDATE lanes SET parked = true, opens_at = least(found.opens_at, opening) WHERE name = lane;
    RETURN coalesce(opening <= moment, false) AND (found.opens_at <= moment) IS NOT TRUE;
END
$$;
