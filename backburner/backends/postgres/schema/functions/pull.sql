-- Number what has none, then hand subscriptions what they ask for, each from where it stands: {"now", "names", "limit", "looked":
-- how many events are looked at for each}. Answers {"now", "log", "received": [as the port has it]}.
CREATE OR REPLACE FUNCTION {schema}.pull(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    moment bigint := instant((document ->> 'now')::bigint);
    most bigint := document ->> 'limit';
    looked bigint := document ->> 'looked';
    asked text[] := ARRAY(SELECT json_array_elements_text(document -> 'names'));
    answer json;
BEGIN
    PERFORM seal();
    -- All of it in one statement, which sees how far the log goes and what is in it at one moment.
    SELECT json_build_object('now', moment, 'log', l.name, 'received', (
        SELECT coalesce(json_agg(json_build_object(
            'name', s.name, 'cursor', s.cursor,
            -- Full, it is looked at as far as what it is handed.
            'upto', CASE WHEN found.number = most THEN coalesce(found.last, s.cursor) ELSE s.upto END,
            'events', found.events, 'lost', CASE WHEN l.pruned > s.cursor THEN l.pruned END) ORDER BY s.name), '[]')
        FROM (
            -- None between is missing, so that those up to a distance are as many at most.
            SELECT
                name, cursor, likes(patterns) AS liked,
                greatest(cursor, least(l.last, greatest(cursor, l.pruned) + looked)) AS upto
            FROM subscriptions WHERE name = ANY (asked)
        ) AS s
        CROSS JOIN LATERAL (
            SELECT count(*) AS number, max(e.number) AS last, coalesce(json_agg(event_of(e) ORDER BY e.number), '[]') AS events
            FROM (
                SELECT * FROM events
                WHERE number > s.cursor AND number <= s.upto AND name LIKE ANY (s.liked) ORDER BY number LIMIT most
            ) AS e
        ) AS found
    )) INTO answer
    FROM log AS l;
    RETURN answer;
END
$$;
