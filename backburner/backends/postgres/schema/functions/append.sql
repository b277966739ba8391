-- Store events: {"now", "events"}, as `append_events` has them. Answers {"now", "stored": how many}.
CREATE OR REPLACE FUNCTION {schema}.append(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    moment bigint := instant((document ->> 'now')::bigint);
BEGIN
    RETURN json_build_object('now', moment, 'stored', append_events(document -> 'events', moment));
END
$$;
