-- A page of the log, upwards or, with `newest`, downwards: {"now", "seal": whether to number first what has no number, "patterns",
-- "subject", "since", "until", "after", "newest", "limit", "looked": how many events are looked at}. Answers what the port answers.
CREATE OR REPLACE FUNCTION {schema}.read_events(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    given record;
    moment bigint;
    log_name text;
    newest_number bigint;
    deleted bigint;
    -- What is looked at: above the one, up to the other.
    above bigint;
    upto bigint;
    edge bigint;
    way text;
    about text;
    found record;
BEGIN
    SELECT * INTO given FROM json_to_record(document) AS whole (
        now bigint, seal boolean, patterns text[], subject text, since bigint, until bigint, after bigint, newest boolean,
        "limit" bigint, looked bigint);
    moment := instant(given.now);
    way := CASE WHEN given.newest THEN 'DESC' ELSE 'ASC' END;
    about := CASE WHEN given.subject IS NOT NULL THEN 'AND hashtextextended(subject, 0) = hashtextextended($3, 0)' ELSE '' END;
    IF given.seal THEN
        PERFORM seal();
    END IF;
    SELECT name, last, pruned INTO log_name, newest_number, deleted FROM log;
    above := deleted;
    upto := newest_number;
    IF given.newest THEN
        upto := least(upto, given.after - 1);
    ELSE
        above := greatest(above, given.after);
    END IF;
    IF given.subject IS NULL THEN
        -- None between is missing, so that those up to a distance are as many at most.
        edge := CASE WHEN given.newest THEN upto - given.looked + 1 ELSE above + given.looked END;
    ELSE
        EXECUTE format(
            'SELECT number FROM events WHERE number > $1 AND number <= $2 %s ORDER BY number %s OFFSET $4 - 1 LIMIT 1', about, way)
        INTO edge USING above, upto, given.subject, given.looked;
    END IF;
    IF given.newest THEN
        above := greatest(above, edge - 1);
    ELSE
        upto := least(upto, edge);
    END IF;
    -- What was deleted by now is told in the statement that does not see it any more.
    EXECUTE format(
        'SELECT count(*) AS number, min(e.number) AS first, max(e.number) AS last, (SELECT pruned FROM log) AS pruned,
             coalesce(json_agg(event_of(e) ORDER BY e.number %2$s), ''[]'') AS events
         FROM (
             SELECT * FROM events
             WHERE number > $1 AND number <= $2 %1$s AND ($3 IS NULL OR subject = $3)
               AND ($4 IS NULL OR name LIKE ANY ($4)) AND ($5 IS NULL OR time >= $5) AND ($6 IS NULL OR time < $6)
             ORDER BY number %2$s LIMIT $7
         ) AS e', about, way)
    INTO found
    USING above, upto, given.subject, likes(given.patterns), given.since, given.until, given."limit";
    IF found.number >= given."limit" THEN
        upto := CASE WHEN given.newest THEN coalesce(found.first, upto + 1) ELSE coalesce(found.last, above) END;
    ELSIF given.newest THEN
        upto := least(above + 1, newest_number);
    ELSE
        upto := greatest(above, upto);
    END IF;
    RETURN json_build_object(
        'now', moment, 'log', log_name, 'events', found.events, 'upto', upto,
        'end', CASE WHEN given.newest THEN upto <= found.pruned + 1 ELSE upto >= newest_number END,
        'pruned', found.pruned, 'last', newest_number);
END
$$;
