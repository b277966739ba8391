-- Apply settlements in the order given, one by one; those of busy jobs are left out. Answers {"stale": [id],
-- "cancelled": {id: reason}, "jobs": [the follow-ups of those applied], "leaving": [jobs with lanes that no longer run, or
-- lend their slot], "back": [those that take it back], "told": {"events": [name], "ids", "data"}}, what is to be told of them, of
-- the events that are `asked`.
CREATE OR REPLACE FUNCTION {schema}.settle_each(settlements json, holder_node text, busy text[], asked text[], moment bigint) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    each record;
    job jobs;
    put_back boolean;
    ended boolean;
    stale text[] := '{}';
    cancelled jsonb := '{}';
    following json[] := '{}';
    leaving text[] := '{}';
    back text[] := '{}';
    event text;
    told_events text[] := '{}';
    told_ids text[] := '{}';
    told_data text[] := '{}';
BEGIN
    FOR each IN SELECT * FROM json_to_recordset(settlements) AS settlement (
        id text, token bigint, state text, result text, reason text, delay bigint, gate text, backoff bigint,
        failed integer, crashed integer, interrupted integer, ending text, error text, message text, traceback text,
        fingerprint text, unstarted boolean, progress json, checkpoint text, lent boolean, jobs json)
    LOOP
        IF each.id = ANY (busy) THEN
            CONTINUE;
        END IF;
        SELECT * INTO job FROM jobs WHERE id = each.id FOR UPDATE;
        IF NOT FOUND OR job.token <> each.token OR job.node IS DISTINCT FROM holder_node THEN
            stale := stale || each.id;
            CONTINUE;
        END IF;
        put_back := each.state = 'pending' AND job.cancel_reason IS NULL;
        ended := NOT put_back AND each.state <> 'running';
        -- Under the same token but no longer running, it was applied before.
        IF job.state = 'running' THEN
            IF each.ending IS NOT NULL AND each.state <> 'running' THEN
                INSERT INTO attempts (
                    job, attempt, ending, node, started_at, ended_at, error, message, fingerprint, traceback)
                VALUES (
                    each.id, job.attempt, each.ending, coalesce(job.recovered_node, job.node),
                    coalesce(job.started_at, moment), moment, coalesce(each.error, ''), coalesce(each.message, ''),
                    coalesce(each.fingerprint, ''), coalesce(each.traceback, ''));
            END IF;
            UPDATE jobs AS j SET
                done = CASE WHEN each.progress IS NULL THEN j.done ELSE (each.progress ->> 0)::bigint END,
                total = CASE WHEN each.progress IS NULL THEN j.total ELSE (each.progress ->> 1)::bigint END,
                checkpoint = coalesce(each.checkpoint, j.checkpoint),
                lent = each.state = 'running' AND coalesce(each.lent, j.lent)
            WHERE j.id = each.id AND (each.state = 'running' OR each.progress IS NOT NULL OR each.checkpoint IS NOT NULL);
            IF job.lanes IS NOT NULL AND (each.state <> 'running' OR each.lent <> job.lent) THEN
                IF each.state = 'running' AND NOT each.lent THEN
                    back := back || each.id;
                ELSE
                    leaving := leaving || each.id;
                    back := array_remove(back, each.id);
                END IF;
            END IF;
            IF each.state = 'running' THEN
                CONTINUE;
            END IF;
            UPDATE jobs AS j SET
                state = CASE WHEN put_back THEN 'pending' WHEN each.state = 'pending' THEN 'cancelled' ELSE each.state END,
                reason = CASE
                    WHEN put_back THEN j.reason WHEN each.state = 'pending' THEN j.cancel_reason ELSE each.reason END,
                result = CASE WHEN each.state = 'pending' THEN j.result ELSE each.result END,
                ended_at = CASE WHEN ended THEN moment END,
                due_at = CASE WHEN put_back THEN moment + greatest(0, coalesce(each.delay, 0)) ELSE j.due_at END,
                gate = CASE WHEN put_back THEN coalesce(each.gate, '') ELSE '' END,
                backoff = CASE WHEN put_back THEN coalesce(each.backoff, j.backoff) ELSE j.backoff END,
                failures = j.failures + coalesce(each.failed, 0),
                crashes = j.crashes + coalesce(each.crashed, 0),
                interruptions = j.interruptions + coalesce(each.interrupted, 0),
                attempt = greatest(0, j.attempt - coalesce(each.unstarted, false)::integer),
                error = CASE WHEN each.ending IS NULL OR coalesce(each.error, '') = '' THEN j.error ELSE each.error END,
                message = CASE
                    WHEN each.ending IS NULL OR coalesce(each.error, '') = '' THEN j.message
                    ELSE coalesce(each.message, '') END,
                fingerprint = CASE
                    WHEN each.ending IS NULL OR coalesce(each.error, '') = '' THEN j.fingerprint
                    ELSE coalesce(each.fingerprint, '') END,
                cancel_reason = NULL, lent = false, recovered_cause = NULL, recovered_node = NULL
            WHERE j.id = each.id;
            event := event_of_settlement(each.state, each.ending, put_back);
            IF event = ANY (asked) THEN
                told_events := told_events || event;
                told_ids := told_ids || each.id::text;
                told_data := told_data || job_data(
                    job.kind, job.queue, job.attempt, holder_node,
                    CASE WHEN event IN ('job.cancelled', 'job.dead')
                        THEN CASE WHEN each.state = 'pending' THEN job.cancel_reason ELSE each.reason END END,
                    CASE WHEN event IN ('job.retry', 'job.interrupted', 'job.crashed', 'job.misfit', 'job.dead')
                        THEN each.error END,
                    CASE WHEN event IN ('job.retry', 'job.snoozed', 'job.interrupted', 'job.crashed', 'job.misfit', 'job.dead')
                        THEN each.message END,
                    CASE WHEN event IN ('job.retry', 'job.dead') THEN each.fingerprint END,
                    CASE WHEN event IN ('job.retry', 'job.snoozed', 'job.released')
                        THEN greatest(0, coalesce(each.delay, 0)) END);
            END IF;
            following := following || ARRAY(SELECT json_array_elements(each.jobs));
            IF each.state = 'pending' AND NOT put_back THEN
                cancelled := cancelled || jsonb_build_object(each.id, coalesce(job.cancel_reason, 'cancelled'));
            END IF;
        ELSIF each.state = 'pending' AND job.state = 'cancelled' THEN
            cancelled := cancelled || jsonb_build_object(each.id, coalesce(job.reason, 'cancelled'));
        END IF;
    END LOOP;
    RETURN json_build_object(
        'stale', stale, 'cancelled', cancelled, 'jobs', to_json(following), 'leaving', leaving,
        'back', back, 'told', CASE WHEN cardinality(told_ids) > 0 THEN
            json_build_object('events', told_events, 'ids', told_ids, 'data', told_data) END);
END
$$;
