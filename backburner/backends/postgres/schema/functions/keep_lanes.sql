-- Write what a claim took of the lanes that it locked, and that jobs were parked there, some for want of a permit; of a budget the
-- new mark is given, and its deposits may open it sooner. Those that had room for somebody who was parked open to those who stand
-- there, each at a moment (`opens`). Tells whether any of them opens at once.
CREATE OR REPLACE FUNCTION {schema}.keep_lanes(
    names text[], taken bigint[], marks bigint[], parked_at boolean[], short boolean[], opens bigint[], moment bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    open boolean;
BEGIN
    WITH used AS (
        SELECT
            asked.name, asked.parked, asked.short, h.rate, h.deposit,
            CASE WHEN l.parked OR asked.parked THEN asked.opens END AS opens,
            CASE
                WHEN h.deposit IS NOT NULL THEN ROW(h.rate::text, asked.mark, 0, 0)::meter
                WHEN asked.taken > 0 THEN spent(h.rate, l.meter, moment, asked.taken)
                ELSE l.meter END AS meter
        FROM unnest(names, taken, marks, parked_at, short, opens) AS asked (name, taken, mark, parked, short, opens)
        JOIN lanes AS l ON l.name = asked.name
        JOIN limits AS h ON h.name = split_part(asked.name, '/', 1)
        WHERE asked.parked OR asked.taken > 0 OR h.deposit IS NOT NULL AND asked.mark <> (l.meter).mark
           OR asked.opens IS NOT NULL AND l.parked
    ), written AS (
        UPDATE lanes AS l SET
            meter = u.meter, parked = l.parked OR u.parked,
            opens_at = least(
                l.opens_at, u.opens,
                CASE WHEN u.short OR u.deposit IS NOT NULL AND l.opens_at IS NOT NULL
                    THEN next_permit(u.rate, u.meter, moment) END)
        FROM used AS u WHERE l.name = u.name
        RETURNING l.opens_at <= moment AS now
    )
    SELECT coalesce(bool_or(now), false) INTO open FROM written;
    RETURN open;
END
$$;
