-- Write what a claim took of the lanes that it locked, and that jobs were parked there, some for want of a permit; of a budget the
-- new mark is given, and its deposits may open it sooner. One that had room for somebody whom another refused opens to those who
-- stand there. Tells whether any of them opens at once.
CREATE OR REPLACE FUNCTION {schema}.keep_lanes(
    names text[], taken bigint[], marks bigint[], parked_at boolean[], short boolean[], left_to_others boolean[], moment bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    open boolean;
BEGIN
    WITH used AS (
        SELECT
            asked.name, asked.parked, asked.short, h.rate, h.deposit,
            asked.left_to_others AND (l.parked OR asked.parked) AS opens,
            CASE
                WHEN h.deposit IS NOT NULL THEN ROW(h.rate::text, asked.mark, 0, 0)::meter
                WHEN asked.taken > 0 THEN spent(h.rate, l.meter, moment, asked.taken)
                ELSE l.meter END AS meter
        FROM unnest(names, taken, marks, parked_at, short, left_to_others)
            AS asked (name, taken, mark, parked, short, left_to_others)
        JOIN lanes AS l ON l.name = asked.name
        JOIN limits AS h ON h.name = split_part(asked.name, '/', 1)
        WHERE asked.parked OR asked.taken > 0 OR h.deposit IS NOT NULL AND asked.mark <> (l.meter).mark
           OR asked.left_to_others AND l.parked
    ), written AS (
        UPDATE lanes AS l SET
            meter = u.meter, parked = l.parked OR u.parked,
            opens_at = CASE
                WHEN u.opens THEN least(l.opens_at, moment)
                WHEN u.short OR u.deposit IS NOT NULL AND l.opens_at IS NOT NULL
                    THEN least(l.opens_at, next_permit(u.rate, u.meter, moment))
                ELSE l.opens_at END
        FROM used AS u WHERE l.name = u.name
        RETURNING l.opens_at <= moment AS now
    )
    SELECT coalesce(bool_or(now), false) INTO open FROM written;
    RETURN open;
END
$$;
