-- Take jobs over from another store as they were there, none of them running: {"now", "jobs": [image]}; an image's record
-- is an array, in the order of the model's fields.
CREATE OR REPLACE FUNCTION {schema}.restore(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    moment bigint := instant((document ->> 'now')::bigint);
    each record;
    keeper text;
    known text[] := '{}';
    holders jsonb := '{}';
    parents text[] := '{}';
    gates text[] := '{}';
BEGIN
    FOR each IN
        SELECT image -> 'record' AS job, image -> 'record' ->> 0 AS id, image -> 'record' ->> 30 AS unique_key, image,
            ARRAY(SELECT json_array_elements_text(image -> 'unique_states')) AS unique_states,
            (image ->> 'unique_until')::bigint AS unique_until,
            nullif(ARRAY(SELECT json_array_elements_text(image -> 'record' -> 34)), '{}') AS lanes
        FROM json_array_elements(document -> 'jobs') AS image
    LOOP
        IF EXISTS (SELECT FROM jobs AS j WHERE j.id = each.id) THEN
            known := known || each.id;
            CONTINUE;
        END IF;
        IF each.unique_key IS NOT NULL AND each.job ->> 4 <> 'unique:' || each.unique_key
            AND (each.job ->> 3 = ANY (each.unique_states) OR coalesce(each.unique_until > moment, false))
        THEN
            IF NOT mine(each.unique_key) THEN
                RAISE lock_not_available USING MESSAGE = format('the unique key of job %s is being decided about', each.id);
            END IF;
            keeper := holder(each.unique_key, each.id, moment);
            IF keeper IS NOT NULL THEN
                holders := holders || jsonb_build_object(each.id, keeper);
                CONTINUE;
            END IF;
        END IF;
        INSERT INTO jobs (
            id, kind, queue, state, gate, priority, args, result, reason, tags, attempt, failures, crashes, interruptions,
            token, node, timeout, retry, backoff, created_at, due_at, expires_at, started_at, ended_at, error, message,
            fingerprint, headers, parent, unique_key, unique_states, unique_until, checkpoint, done, total,
            lanes, turn)
        VALUES (
            each.id, each.job ->> 1, each.job ->> 2, each.job ->> 3, each.job ->> 4, (each.job ->> 5)::smallint,
            each.job ->> 6, each.job ->> 7, each.job ->> 8, ARRAY(SELECT json_array_elements_text(each.job -> 9)),
            (each.job ->> 10)::integer, (each.job ->> 11)::integer, (each.job ->> 12)::integer, (each.job ->> 13)::integer,
            (each.job ->> 14)::bigint, each.job ->> 15, (each.job ->> 17)::bigint, each.job ->> 18,
            (each.job ->> 19)::bigint, (each.job ->> 20)::bigint, (each.job ->> 21)::bigint, (each.job ->> 22)::bigint,
            (each.job ->> 23)::bigint, (each.job ->> 24)::bigint, each.job ->> 25, each.job ->> 26, each.job ->> 27,
            each.job ->> 28, each.job ->> 29, each.unique_key,
            CASE WHEN each.unique_key IS NOT NULL THEN each.unique_states END, each.unique_until, each.job ->> 31,
            (each.job ->> 32)::bigint, (each.job ->> 33)::bigint,
            each.lanes, turn_of(each.lanes, each.job ->> 2))
        ON CONFLICT (id) DO NOTHING;
        IF NOT FOUND THEN
            known := known || each.id;
            CONTINUE;
        END IF;
        IF each.job ->> 29 IS NOT NULL THEN
            parents := parents || (each.job ->> 29);
        END IF;
        gates := gates || (each.job ->> 4);
        INSERT INTO attempts (
            job, attempt, ending, node, started_at, ended_at, error, message, fingerprint, traceback)
        SELECT
            each.id, past.attempt, past.ending, past.node, past.started_at, past.ended_at, coalesce(past.error, ''),
            coalesce(past.message, ''), coalesce(past.fingerprint, ''), coalesce(past.traceback, '')
        FROM ROWS FROM (json_to_recordset(each.image -> 'history') AS (
            attempt integer, ending text, node text, started_at bigint, ended_at bigint, error text, message text,
            fingerprint text, traceback text)) WITH ORDINALITY AS past (
            attempt, ending, node, started_at, ended_at, error, message, fingerprint, traceback, nth)
        ORDER BY past.nth;
    END LOOP;
    -- As when jobs are stored: children to let go stand in the way of a parent that was lifted out.
    UPDATE jobs SET lifted = false WHERE id = ANY (parents) AND ended_at IS NOT NULL;
    PERFORM stand_at(gates, moment);
    RETURN json_build_object('now', moment, 'known', known, 'holders', holders);
END
$$;
