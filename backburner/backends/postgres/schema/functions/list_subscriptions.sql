-- All subscriptions, by name: {"now", "seal": whether to number first what has no number}. Answers what the port answers.
CREATE OR REPLACE FUNCTION {schema}.list_subscriptions(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    moment bigint := instant((document ->> 'now')::bigint);
    answer json;
BEGIN
    IF (document ->> 'seal')::boolean THEN
        PERFORM seal();
    END IF;
    SELECT json_build_object('now', moment, 'log', l.name, 'last', l.last, 'subscriptions', (
        SELECT coalesce(json_agg(subscription_of(s) ORDER BY s.name), '[]') FROM subscriptions AS s
    )) INTO answer
    FROM log AS l;
    RETURN answer;
END
$$;
