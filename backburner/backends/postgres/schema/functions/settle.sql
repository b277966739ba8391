-- Write how claims ended, then claim: {"now", "node", "careful", "joined", "lanes", "completed": [{"id", "token", "result"}], "others":
-- [settlement], "claim": a request}. What is completed and nothing else, alone with its job, stands apart. {"lost": true}
-- where the lease of who claims is not live.
-- Careful, jobs that somebody's open transaction has locked are passed over and answered as busy; otherwise having to wait
-- long for one ends the whole write. Joined to a caller's transaction, it waits for them first, and locks no lane, since
-- everybody would have to wait for that. `lanes` are those where follow-ups may be parked.
CREATE OR REPLACE FUNCTION {schema}.settle(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    given record;
    moment bigint;
    ids text[];
    busy text[] := '{}';
    stale text[] := '{}';
    others json;
    applied bigint;
    -- Jobs with lanes that no longer run, or lend their slot; and those that take it back.
    leaving text[] := '{}';
    back text[] := '{}';
    laned text[];
    let_in integer := 0;
    -- The events that somebody asks for, and the jobs completed, if that is one of them.
    asked text[];
    completed text[];
BEGIN
    -- Taken apart once: every -> would read the whole of it.
    SELECT * INTO given FROM json_to_record(document) AS whole (
        now bigint, node text, careful boolean, joined boolean, lanes text[], completed json, others json, claim json);
    moment := instant(given.now);
    IF given.claim IS NOT NULL AND NOT EXISTS (
        SELECT FROM nodes WHERE id = given.claim ->> 'node' AND lease_until > moment
    ) THEN
        RETURN '{"lost": true}';
    END IF;
    asked := wanted('{
        job.enqueued,job.claimed,job.completed,job.retry,job.snoozed,job.interrupted,job.crashed,job.misfit,job.released,
        job.cancelled,job.dead}');
    IF given.careful THEN
        ids := ARRAY(
            SELECT settled ->> 'id'
            FROM (SELECT json_array_elements(given.completed) UNION ALL SELECT json_array_elements(given.others))
                AS each (settled));
        IF given.joined THEN
            BEGIN
                PERFORM FROM jobs WHERE id = ANY (ids) ORDER BY id FOR UPDATE;
            EXCEPTION
                WHEN lock_not_available THEN
                    NULL; -- It is busy.
            END;
        END IF;
        busy := locked_elsewhere(ids);
    END IF;
    -- Notes come before the end of their runs.
    IF given.others IS NOT NULL THEN
        others := settle_each(given.others, given.node, busy, asked, moment);
        stale := stale || ARRAY(SELECT json_array_elements_text(others -> 'stale'));
        leaving := ARRAY(SELECT json_array_elements_text(others -> 'leaving'));
        back := ARRAY(SELECT json_array_elements_text(others -> 'back'));
    END IF;
    IF given.completed IS NOT NULL THEN
        -- By id, each a probe: compared by =, node and state would offer a walk over all that the node holds, for each.
        WITH done AS (
            UPDATE jobs AS j
            SET state = 'completed', result = ended.result, reason = NULL, ended_at = moment, cancel_reason = NULL,
                lent = false, recovered_cause = NULL, recovered_node = NULL
            FROM json_to_recordset(given.completed) AS ended (id text, token bigint, result text)
            WHERE j.id = ended.id AND j.token = ended.token AND j.node IS NOT DISTINCT FROM given.node
              AND j.state IS NOT DISTINCT FROM 'running' AND j.id <> ALL (busy)
            RETURNING j.id, j.lanes
        )
        SELECT
            count(*), array_agg(id) FILTER (WHERE lanes IS NOT NULL), array_agg(id) FILTER (WHERE 'job.completed' = ANY (asked))
        INTO applied, laned, completed FROM done;
        IF completed IS NOT NULL THEN
            PERFORM tell_of_jobs('job.completed', completed, given.node, NULL, moment);
        END IF;
        leaving := leaving || laned;
        IF cardinality(back) > 0 THEN
            back := ARRAY(SELECT unnest(back) EXCEPT SELECT unnest(laned));
        END IF;
        IF applied < json_array_length(given.completed) THEN
            -- Under the same token but no longer running, it was applied before.
            stale := stale || ARRAY(
                SELECT ended.id FROM json_to_recordset(given.completed) AS ended (id text, token bigint)
                WHERE ended.id <> ALL (busy) AND (
                    SELECT true FROM jobs AS j
                    WHERE j.id = ended.id AND j.token = ended.token AND j.node IS NOT DISTINCT FROM given.node) IS NULL);
        END IF;
    END IF;
    IF json_typeof(others -> 'told') = 'object' THEN
        INSERT INTO unnumbered (name, subject, time, data)
        SELECT told.event, told.id, moment, told.data
        FROM json_to_record(others -> 'told') AS all_told (events text[], ids text[], data text[])
        CROSS JOIN LATERAL unnest(all_told.events, all_told.ids, all_told.data) AS told (event, id, data);
    END IF;
    IF anybody_parked() THEN
        let_in := let_through(ARRAY(
            SELECT j.unique_key
            FROM (SELECT json_array_elements(given.completed) UNION ALL SELECT json_array_elements(given.others))
                AS each (settled)
            JOIN jobs AS j ON j.id = settled ->> 'id'
            WHERE settled ->> 'state' IS DISTINCT FROM 'running' AND j.unique_key IS NOT NULL
              AND j.id <> ALL (stale || busy)), moment);
    END IF;
    -- Who waits for a key comes before the follow-up of the one that held it.
    IF json_array_length(others -> 'jobs') > 0 THEN
        PERFORM store(
            others -> 'jobs', '{}', NULL, '{}', NULL, true, true,
            CASE WHEN given.lanes IS NULL THEN '{}' ELSE standing_at(given.lanes) END, asked, moment);
    END IF;
    -- Last of all: nobody who has to wait for a job of this write holds a lane that is waited for here.
    IF cardinality(leaving) > 0 THEN
        IF given.joined THEN
            DELETE FROM held WHERE job = ANY (leaving);
        ELSE
            let_in := let_in + leave_lanes(leaving, coalesce(given.careful, false), moment);
        END IF;
    END IF;
    IF cardinality(back) > 0 THEN
        PERFORM take_back(back);
    END IF;
    RETURN json_build_object(
        'now', moment, 'stale', stale, 'busy', busy, 'let_in', let_in, 'cancelled', coalesce(others -> 'cancelled', '{}'),
        'batch', CASE WHEN given.claim IS NOT NULL THEN claim_jobs(given.claim, asked, moment) END);
END
$$;
