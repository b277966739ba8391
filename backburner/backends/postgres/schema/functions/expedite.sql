-- Have jobs that wait in the line and are due later be due now, and store events if there was any: {"now", "ids", "events": as
-- `append_events` has them}. Answers {"now", "found": {id: as what}}. Jobs that others have locked are passed over and answered
-- as busy.
CREATE OR REPLACE FUNCTION {schema}.expedite(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    moment bigint := instant((document ->> 'now')::bigint);
    asked text[] := ARRAY(SELECT json_array_elements_text(document -> 'ids'));
    busy text[] := locked_elsewhere(asked);
    answers json;
BEGIN
    SELECT coalesce(json_object_agg(j.id, CASE
        WHEN j.id = ANY (busy) THEN 'busy'
        WHEN j.state = 'running' THEN 'running'
        WHEN j.state <> 'pending' THEN 'ended'
        WHEN j.gate <> '' THEN 'gated'
        WHEN j.due_at > moment THEN 'expedited'
        ELSE 'due'
    END), '{}') INTO answers FROM jobs AS j WHERE j.id = ANY (asked);
    UPDATE jobs SET due_at = moment
    WHERE id = ANY (asked) AND id <> ALL (busy) AND state = 'pending' AND gate = '' AND due_at > moment;
    IF FOUND AND json_array_length(document -> 'events') > 0 THEN
        PERFORM append_events(document -> 'events', moment);
    END IF;
    RETURN json_build_object('now', moment, 'found', answers);
END
$$;
