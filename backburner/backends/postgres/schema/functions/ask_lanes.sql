-- What these lanes have room for, of those that have a limit: none for one that is not locked, since another is about to judge
-- by it, or some limit changes. A budget that is full refuses nobody and takes in nothing: it is left out unless somebody who
-- has failed names it (`failed`).
-- `slots` and `permits` are how many more may start, NULL any number; of a budget (`deposit`) the meter's mark, the microseconds
-- between two permits, and those of its whole reserve.
CREATE OR REPLACE FUNCTION {schema}.ask_lanes(names text[], failed text[], allowed boolean, moment bigint) RETURNS TABLE (
    lane text, locked boolean, slots bigint, permits bigint, deposit bigint, mark bigint, step bigint, reserve bigint
) LANGUAGE plpgsql ROWS 10 AS $$
#variable_conflict use_column
DECLARE
    limited text[] := ARRAY(
        SELECT asked FROM unnest(names) AS asked
        WHERE (
            SELECT l.slots IS NOT NULL OR l.rate IS NOT NULL AND (
                l.deposit IS NULL OR asked = ANY (failed)
                OR (SELECT (o.meter).mark > moment FROM lanes AS o WHERE o.name = asked))
            FROM limits AS l WHERE l.name = split_part(asked, '/', 1)));
    mine text[];
BEGIN
    IF cardinality(limited) = 0 THEN
        RETURN;
    END IF;
    mine := CASE WHEN allowed THEN lock_lanes(limited) ELSE '{}' END;
    RETURN QUERY
        SELECT
            asked.lane, asked.lane = ANY (mine),
            CASE WHEN l.slots IS NOT NULL THEN l.slots - (
                SELECT count(*) FROM (SELECT FROM held AS h WHERE h.lane = asked.lane LIMIT l.slots) AS running) END,
            CASE WHEN l.rate IS NOT NULL AND l.deposit IS NULL THEN permits(l.rate, o.meter, moment) END,
            CASE WHEN l.rate IS NOT NULL THEN l.deposit END, (o.meter).mark, stride(l.rate), (l.rate).burst * stride(l.rate)
        FROM unnest(limited) AS asked (lane)
        JOIN limits AS l ON l.name = split_part(asked.lane, '/', 1)
        LEFT JOIN lanes AS o ON o.name = asked.lane;
END
$$;
