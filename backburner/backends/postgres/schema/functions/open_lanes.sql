-- Let in whom there is room for at the lanes that open by now, of each queue by priority, due time, id: a queue that is paused, or
-- of which no node has room, holds up no other. At most so many lanes and jobs; `more` says that it is worth asking again.
CREATE OR REPLACE FUNCTION {schema}.open_lanes(moment bigint, OUT let_in integer, OUT more boolean) LANGUAGE plpgsql AS $$
DECLARE
    most_lanes CONSTANT integer := 100;
    most_jobs CONSTANT integer := 1000;
    -- Microseconds after which to ask again for what others have locked.
    locked_for CONSTANT bigint := 20000;
    each record;
    -- For how many there is room, NULL for any number; and how many of them this call may let in.
    room bigint;
    fits bigint;
    permitted bigint;
    entered bigint;
    still boolean;
    looked_at integer := 0;
BEGIN
    let_in := 0;
    more := false;
    FOR each IN
        SELECT l.name, l.meter, h.slots, h.rate
        FROM (SELECT * FROM lanes WHERE opens_at <= moment ORDER BY opens_at LIMIT most_lanes FOR UPDATE SKIP LOCKED) AS l
        LEFT JOIN limits AS h ON h.name = split_part(l.name, '/', 1)
    LOOP
        looked_at := looked_at + 1;
        permitted := CASE WHEN each.rate IS NOT NULL THEN permits(each.rate, each.meter, moment) END;
        room := permitted;
        IF each.slots IS NOT NULL THEN
            room := least(room, each.slots - (
                SELECT count(*) FROM (SELECT FROM held WHERE lane = each.name LIMIT each.slots) AS running));
        END IF;
        fits := least(room, most_jobs - let_in);
        entered := let_in_at(each.name, fits, most_jobs - let_in);
        let_in := let_in + entered;
        still := coalesce((
            SELECT true FROM jobs
            WHERE state = 'pending' AND gate = 'lane:' || each.name AND gate >= 'lane:' AND gate < 'lane;' LIMIT 1), false);
        UPDATE lanes SET parked = still, opens_at = CASE
            WHEN NOT still THEN NULL
            WHEN let_in >= most_jobs THEN moment
            -- Those let in are to take what there is of the rate.
            WHEN room = permitted THEN greatest(
                moment + 1, next_permit(each.rate, spent(each.rate, each.meter, moment, permitted), moment))
            -- Somebody has locked the others.
            WHEN entered < fits THEN moment + locked_for END
        WHERE name = each.name;
        EXIT WHEN let_in >= most_jobs;
    END LOOP;
    more := let_in >= most_jobs OR looked_at >= most_lanes;
END
$$;
