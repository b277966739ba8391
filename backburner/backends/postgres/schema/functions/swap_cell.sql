-- Write a cell of that version, 0 where there is none, declare a limit with it, and store events: {"now", "name", "value",
-- "version", "limit": JSON as text, "events": as `append_events` has them}. Answers {"now", "swapped"}.
CREATE OR REPLACE FUNCTION {schema}.swap_cell(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    moment bigint := instant((document ->> 'now')::bigint);
    expected bigint := document ->> 'version';
    swapped boolean;
BEGIN
    IF expected = 0 THEN
        INSERT INTO cells (name, version, value) VALUES (document ->> 'name', 1, document ->> 'value')
        ON CONFLICT (name) DO NOTHING;
    ELSE
        UPDATE cells SET version = version + 1, value = document ->> 'value'
        WHERE name = document ->> 'name' AND version = expected;
    END IF;
    swapped := FOUND;
    IF swapped AND document ->> 'limit' IS NOT NULL THEN
        PERFORM declare_limits(json_build_object(document ->> 'name', document ->> 'limit'), moment);
    END IF;
    IF swapped AND json_array_length(document -> 'events') > 0 THEN
        PERFORM append_events(document -> 'events', moment);
    END IF;
    RETURN json_build_object('now', moment, 'swapped', swapped);
END
$$;
