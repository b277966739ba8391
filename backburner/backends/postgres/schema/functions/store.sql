-- Store one part of a write. Its jobs stand in `head`, looked at one by one, and in `tail`, which are new to everybody: of no
-- unique key, no parent and no birth. `owners` names the group of each job in the head, `tokens` the token drawn for its
-- birth (0: not on offer), and positions count from 1 through both.
-- A job whose key is held is parked at its gate if `parks`, else left out; a group whose key another transaction decides
-- about is left out as busy, or parked. `wary` looks for ids stored before; without it one ends the write.
-- Who could run at once is parked at the first of its lanes that is among `standing_lanes`. `asked` are the events that somebody
-- asks for.
-- Answers {"born": [position], "known": [position], "holders": {position: id}, "busy": [group]}.
CREATE OR REPLACE FUNCTION {schema}.store(
    head json, owners integer[], bearer text, tokens bigint[], tail json, parks boolean, wary boolean,
    standing_lanes text[], asked text[], moment bigint
) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    new record;
    old record;
    alive boolean := false;
    token bigint;
    keeper text;
    taken_keys text[] := '{}';
    busy integer[] := '{}';
    born bigint[] := '{}';
    known bigint[] := '{}';
    holders jsonb := '{}';
    parents text[] := '{}';
    standing text;
    fresh text[];
    -- The jobs that were stored, and those born.
    stored_ids text[] := '{}';
    born_ids text[] := '{}';
BEGIN
    IF bearer IS NOT NULL THEN
        alive := EXISTS (SELECT FROM nodes WHERE id = bearer AND lease_until > moment);
    END IF;
    -- All keys before any job is stored, so that a group is left out whole.
    FOR new IN SELECT n.unique_key, array_agg(n.nth) AS places FROM new_jobs(head, standing_lanes, moment) AS n
        WHERE n.unique_key IS NOT NULL GROUP BY n.unique_key ORDER BY n.unique_key
    LOOP
        IF NOT mine(new.unique_key) THEN
            taken_keys := taken_keys || new.unique_key;
            IF NOT parks THEN
                IF current_setting('transaction_isolation') NOT LIKE 'read %' THEN
                    RAISE invalid_parameter_value USING MESSAGE = format(
                        'a %s transaction cannot see who holds a unique key: begin it as READ COMMITTED, or store the job '
                        'outside it', upper(current_setting('transaction_isolation')));
                END IF;
                busy := busy || ARRAY(SELECT owners[place] FROM unnest(new.places) AS place);
            END IF;
        END IF;
    END LOOP;
    FOR new IN SELECT * FROM new_jobs(head, standing_lanes, moment) LOOP
        IF owners[new.nth] = ANY (busy) THEN
            CONTINUE;
        END IF;
        token := nullif(tokens[new.nth], 0);
        <<stored>>
        LOOP
            SELECT id, state, node, jobs.token AS held, parent, reason, cancel_reason INTO old FROM jobs WHERE id = new.id;
            EXIT WHEN NOT FOUND;
            IF token IS NOT NULL AND old.state = 'running' AND old.node = bearer AND old.held = token THEN
                born := born || new.nth;
            ELSIF old.parent = new.parent AND old.state = 'running' AND old.cancel_reason = 'group' THEN
                UPDATE jobs SET cancel_reason = NULL WHERE id = new.id AND state = 'running' AND cancel_reason = 'group';
                -- Once another's transaction is over it may be something else: look again.
                CONTINUE stored WHEN NOT FOUND;
            ELSIF old.parent = new.parent AND old.state = 'cancelled' AND old.reason = 'group' THEN
                keeper := CASE WHEN new.unique_key IS NOT NULL THEN holder(new.unique_key, new.id, moment) END;
                IF keeper IS NOT NULL AND NOT parks THEN
                    holders := holders || jsonb_build_object(new.nth, keeper);
                    EXIT stored;
                END IF;
                UPDATE jobs SET
                    state = 'pending',
                    gate = CASE
                        WHEN keeper IS NOT NULL OR new.unique_key = ANY (taken_keys) THEN 'unique:' || new.unique_key
                        ELSE new.gate END,
                    node = NULL, created_at = moment, kind = new.kind, queue = new.queue, args = new.args,
                    priority = new.priority, due_at = new.due_at, expires_at = new.expires_at, timeout = new.timeout,
                    lanes = new.lanes, turn = turn_of(new.lanes, new.queue), retry = new.retry, tags = new.tags,
                    headers = new.headers, parent = new.parent,
                    unique_key = new.unique_key, unique_states = new.unique_states, unique_until = new.unique_until,
                    started_at = NULL, ended_at = NULL, attempt = 0, failures = 0, crashes = 0, interruptions = 0,
                    backoff = NULL, result = NULL, reason = NULL, error = '', message = '', fingerprint = '', done = NULL,
                    total = NULL, checkpoint = NULL, lifted = false
                WHERE id = new.id AND state = 'cancelled';
                CONTINUE stored WHEN NOT FOUND;
                stored_ids := stored_ids || new.id;
            ELSE
                known := known || new.nth;
            END IF;
            EXIT;
        END LOOP;
        IF old.id IS NOT NULL THEN
            CONTINUE;
        END IF;
        standing := new.gate;
        IF new.unique_key IS NOT NULL THEN
            keeper := holder(new.unique_key, new.id, moment);
            IF parks AND (keeper IS NOT NULL OR new.unique_key = ANY (taken_keys)) THEN
                standing := 'unique:' || new.unique_key;
            ELSIF keeper IS NOT NULL THEN
                holders := holders || jsonb_build_object(new.nth, keeper);
                CONTINUE;
            END IF;
        END IF;
        IF NOT (
            token IS NOT NULL AND alive AND standing = '' AND new.lanes IS NULL AND new.due_at <= moment
            AND may_run(new.queue, new.priority, new.kind, bearer, moment)
        ) THEN
            token := NULL;
        END IF;
        INSERT INTO jobs (
            id, kind, queue, args, priority, created_at, due_at, expires_at, timeout, retry, tags, gate, headers, parent,
            unique_key, unique_states, unique_until, lanes, turn, state, attempt, token, node, started_at)
        VALUES (
            new.id, new.kind, new.queue, new.args, new.priority, moment, new.due_at, new.expires_at, new.timeout, new.retry,
            new.tags, standing, new.headers, new.parent, new.unique_key, new.unique_states, new.unique_until, new.lanes,
            turn_of(new.lanes, new.queue),
            CASE WHEN token IS NULL THEN 'pending' ELSE 'running' END, (token IS NOT NULL)::integer, coalesce(token, 0),
            CASE WHEN token IS NOT NULL THEN bearer END, CASE WHEN token IS NOT NULL THEN moment END)
        ON CONFLICT (id) DO NOTHING;
        IF NOT FOUND THEN
            known := known || new.nth;
            CONTINUE;
        END IF;
        stored_ids := stored_ids || new.id;
        IF token IS NOT NULL THEN
            born := born || new.nth;
            born_ids := born_ids || new.id;
        END IF;
        IF new.parent IS NOT NULL THEN
            parents := parents || new.parent;
        END IF;
    END LOOP;
    IF cardinality(parents) > 0 THEN
        -- Children to let go stand in the way of a parent that was lifted out of what is to be pruned.
        -- Whether it was is not asked: it may be on its way out, in somebody's transaction.
        UPDATE jobs SET lifted = false WHERE id = ANY (parents) AND ended_at IS NOT NULL;
    END IF;
    IF wary AND tail IS NOT NULL THEN
        WITH stored AS (
            INSERT INTO jobs (
                id, kind, queue, args, priority, created_at, due_at, expires_at, timeout, retry, tags, gate, headers, lanes,
            turn)
            SELECT
                n.id, n.kind, n.queue, n.args, n.priority, moment, n.due_at, n.expires_at, n.timeout, n.retry, n.tags,
                n.gate, n.headers, n.lanes, turn_of(n.lanes, n.queue)
            FROM new_jobs(tail, standing_lanes, moment) AS n
            ON CONFLICT (id) DO NOTHING
            RETURNING id
        )
        SELECT coalesce(array_agg(id), '{}') INTO fresh FROM stored;
        stored_ids := stored_ids || fresh;
        IF cardinality(fresh) < json_array_length(tail) THEN
            known := known || ARRAY(
                SELECT coalesce(cardinality(owners), 0) + n.nth
                FROM (SELECT nth, id, row_number() OVER (PARTITION BY id ORDER BY nth) AS copy
                      FROM new_jobs(tail, standing_lanes, moment)) AS n
                WHERE n.copy > 1 OR n.id <> ALL (fresh));
        END IF;
    ELSIF tail IS NOT NULL THEN
        INSERT INTO jobs (
            id, kind, queue, args, priority, created_at, due_at, expires_at, timeout, retry, tags, gate, headers, lanes,
            turn)
        SELECT
            n.id, n.kind, n.queue, n.args, n.priority, moment, n.due_at, n.expires_at, n.timeout, n.retry, n.tags, n.gate,
            n.headers, n.lanes, turn_of(n.lanes, n.queue)
        FROM new_jobs(tail, standing_lanes, moment) AS n;
        IF 'job.enqueued' = ANY (asked) THEN
            stored_ids := stored_ids || ARRAY(SELECT j.id FROM json_to_recordset(tail) AS j (id text));
        END IF;
    END IF;
    IF 'job.enqueued' = ANY (asked) THEN
        PERFORM tell_of_jobs('job.enqueued', stored_ids, NULL, NULL, moment);
    END IF;
    IF 'job.claimed' = ANY (asked) THEN
        PERFORM tell_of_jobs('job.claimed', born_ids, bearer, NULL, moment);
    END IF;
    RETURN json_build_object(
        'born', born, 'known', known, 'holders', holders, 'busy', ARRAY(SELECT DISTINCT unnest(busy)));
END
$$;
