-- Cancel the pending, ask for the running, leave the ended, and store events if there was any of the two: {"now", "ids",
-- "reason", "events": as `append_events` has them}. A person's reason stands in place of that of a job's own group. Jobs that
-- others have locked are passed over and answered as busy.
CREATE OR REPLACE FUNCTION {schema}.cancel(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    moment bigint := instant((document ->> 'now')::bigint);
    why text := document ->> 'reason';
    asked text[] := ARRAY(SELECT json_array_elements_text(document -> 'ids'));
    busy text[] := locked_elsewhere(asked);
    pending text[] := '{}';
    running text[] := '{}';
    ended text[] := '{}';
    each record;
    asked_for text[] := wanted('{job.cancelled}');
BEGIN
    FOR each IN SELECT j.id, j.state FROM jobs AS j WHERE j.id = ANY (asked) AND j.id <> ALL (busy) LOOP
        CASE each.state
            WHEN 'pending' THEN pending := pending || each.id;
            WHEN 'running' THEN running := running || each.id;
            ELSE ended := ended || each.id;
        END CASE;
    END LOOP;
    UPDATE jobs SET state = 'cancelled', reason = why, gate = '', ended_at = moment WHERE id = ANY (pending);
    IF 'job.cancelled' = ANY (asked_for) THEN
        PERFORM tell_of_jobs('job.cancelled', pending, NULL, why, moment);
    END IF;
    UPDATE jobs SET cancel_reason = why
    WHERE id = ANY (running) AND (cancel_reason IS NULL OR (cancel_reason = 'group' AND why <> 'group'));
    IF cardinality(pending) > 0 AND anybody_parked() THEN
        PERFORM let_through(
            ARRAY(SELECT j.unique_key FROM jobs AS j WHERE j.id = ANY (pending) AND j.unique_key IS NOT NULL), moment);
    END IF;
    IF cardinality(pending || running) > 0 AND json_array_length(document -> 'events') > 0 THEN
        PERFORM append_events(document -> 'events', moment);
    END IF;
    RETURN json_build_object(
        'now', moment, 'cancelled', pending, 'asked', running, 'ended', ended, 'busy', busy);
END
$$;
