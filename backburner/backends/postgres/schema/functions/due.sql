-- What is due: {"now", "limit", "floor"}, at most so many, from that moment on; without a floor the look is from the head of the
-- index, and how many microseconds that took is answered (`looked`). Otherwise as the port has it.
CREATE OR REPLACE FUNCTION {schema}.due(document json) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    began timestamptz := clock_timestamp();
    given record;
    moment bigint;
    found schedules[];
    looked interval;
    following bigint;
BEGIN
    SELECT * INTO given FROM json_to_record(document) AS whole (now bigint, "limit" integer, floor bigint);
    moment := instant(given.now);
    -- One more than asked for tells whether there are more.
    found := ARRAY(
        SELECT s FROM schedules AS s
        WHERE s.due_at IS NOT NULL AND s.due_at <= moment AND s.due_at >= coalesce(given.floor, -9223372036854775808)
        ORDER BY s.due_at, s.name LIMIT given."limit" + 1);
    looked := clock_timestamp() - began;
    following := CASE WHEN cardinality(found) > given."limit" THEN moment ELSE (
        SELECT s.due_at FROM schedules AS s
        WHERE s.due_at IS NOT NULL AND s.due_at > moment ORDER BY s.due_at, s.name LIMIT 1) END;
    found := found[1:given."limit"];
    RETURN json_build_object(
        'now', moment,
        'schedules', ARRAY(SELECT schedule_of(f) FROM unnest(found) AS f),
        'unended', ARRAY(
            SELECT f.name FROM unnest(found) AS f
            WHERE (SELECT true FROM jobs AS j WHERE j.id = f.last_job AND j.ended_at IS NULL)),
        'wait', following - moment,
        'looked', CASE WHEN given.floor IS NULL THEN (extract(epoch FROM looked) * 1000000)::bigint END);
END
$$;
