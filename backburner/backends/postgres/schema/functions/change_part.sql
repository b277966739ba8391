-- Apply changes of schedules, each of another one: {"schedules": [schedule, its version the one that the change was made from],
-- "ticks": [line, with the change's number as its owner], "lanes", "head": [job], "owners", "tail": [job], "tail_owners"}, the
-- jobs as `store` has them, with the numbers of their changes, from 0. `wary` looks for job ids stored before; without it one
-- ends the write. `asked_for` are the events about jobs that somebody asks for; "events" are told of the changes themselves, as
-- `told_of_changes` has them, by their numbers in "event_owners". A change whose schedule is of another version, or has a key
-- that another transaction decides about, is left out whole. Answers {"outrun": [number], "busy": [number], "holders": {number:
-- {job id: holder}}}.
CREATE OR REPLACE FUNCTION {schema}.change_part(part json, wary boolean, asked_for text[], moment bigint) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    given record;
    asked schedules[];
    versions jsonb;
    outrun integer[];
    stored json;
    kept jsonb;
    busy integer[] := '{}';
    holders jsonb := '{}';
BEGIN
    SELECT * INTO given FROM json_to_record(part) AS whole (
        schedules json, ticks json, lanes text[], head json, owners integer[], tail json, tail_owners integer[],
        events json, event_owners integer[]);
    asked := ARRAY(SELECT a FROM json_populate_recordset(NULL::schedules, given.schedules) AS a);
    -- All by their names, and what is there before what is to come: so of two who change the same none waits for the other.
    -- Each one's version, and when it was created.
    SELECT coalesce(jsonb_object_agg(locked.name, jsonb_build_array(locked.version, locked.created_at)), '{}') INTO versions
    FROM (
        SELECT s.name, s.version, s.created_at FROM schedules AS s
        WHERE s.name = ANY (ARRAY(SELECT a.name FROM unnest(asked) AS a)) ORDER BY s.name FOR UPDATE
    ) AS locked;
    WITH made AS (
        INSERT INTO schedules (
            name, version, kind, rule, job, declared, retired, next_tick, due_at, last_tick, fired_at, last_job, paused,
            paused_until, reason, set_by, created_at, changed_at)
        SELECT
            a.name, 1, a.kind, a.rule, a.job, a.declared, a.retired, a.next_tick, a.due_at, a.last_tick, a.fired_at,
            a.last_job, a.paused, a.paused_until, a.reason, a.set_by, moment, moment
        FROM unnest(asked) AS a WHERE a.version = 0 ORDER BY a.name
        ON CONFLICT (name) DO NOTHING
        RETURNING name
    )
    SELECT versions || coalesce(jsonb_object_agg(made.name, '[0, 0]'::jsonb), '{}') INTO versions FROM made;
    outrun := ARRAY(
        SELECT a.ordinality - 1 FROM unnest(asked) WITH ORDINALITY AS a
        WHERE (versions -> a.name ->> 0)::bigint IS DISTINCT FROM a.version
           OR (a.version > 0 AND a.created_at > 0 AND (versions -> a.name ->> 1)::bigint <> a.created_at));
    IF cardinality(outrun) = cardinality(asked) THEN
        RETURN json_build_object('outrun', outrun);
    END IF;
    IF cardinality(outrun) > 0 THEN
        given.head := without(given.head, given.owners, outrun);
        given.owners := ARRAY(SELECT owner FROM unnest(given.owners) AS owner WHERE owner <> ALL (outrun));
        given.tail := without(given.tail, given.tail_owners, outrun);
    END IF;
    IF given.head IS NOT NULL OR given.tail IS NOT NULL THEN
        stored := store(
            given.head, given.owners, NULL, NULL, given.tail, false, wary,
            CASE WHEN given.lanes IS NULL THEN '{}' ELSE standing_at(given.lanes) END, asked_for, moment);
        busy := ARRAY(SELECT json_array_elements_text(stored -> 'busy')::integer);
        kept := stored -> 'holders';
        IF kept <> '{}' THEN
            SELECT jsonb_object_agg(of_one.owner, of_one.holders) INTO holders
            FROM (
                SELECT given.owners[j.nth] AS owner, jsonb_object_agg(j.job ->> 'id', kept -> j.nth::text) AS holders
                FROM json_array_elements(given.head) WITH ORDINALITY AS j (job, nth)
                WHERE kept ? j.nth::text GROUP BY 1
            ) AS of_one;
        END IF;
    END IF;
    IF cardinality(busy) > 0 THEN
        DELETE FROM schedules
        WHERE name = ANY (ARRAY(
            SELECT a.name FROM unnest(asked) WITH ORDINALITY AS a WHERE a.version = 0 AND a.ordinality - 1 = ANY (busy)));
    END IF;
    UPDATE schedules AS s SET
        version = a.version + 1, kind = a.kind, rule = a.rule, job = a.job, declared = a.declared, retired = a.retired,
        next_tick = a.next_tick, due_at = a.due_at, last_tick = a.last_tick, fired_at = a.fired_at,
        last_job = coalesce(holders -> (a.ordinality - 1)::text ->> a.last_job, a.last_job), paused = a.paused,
        paused_until = a.paused_until, reason = a.reason, set_by = a.set_by, changed_at = moment
    FROM unnest(asked) WITH ORDINALITY AS a
    WHERE s.name = a.name AND a.ordinality - 1 <> ALL (outrun || busy)
      -- What was made above is as it should be, but for what its jobs have no room for.
      AND (a.version > 0 OR holders ? (a.ordinality - 1)::text);
    INSERT INTO ticks (id, schedule, tick, last, count, outcome, reason, job, due_at, at, set_by, note)
    SELECT
        t.id, t.schedule, t.tick, t.last, t.count,
        CASE WHEN h.holder IS NULL THEN t.outcome ELSE 'skipped' END,
        CASE WHEN h.holder IS NULL THEN t.reason ELSE 'unique' END,
        coalesce(h.holder, t.job), t.due_at, coalesce(nullif(t.at, 0), moment), t."by", t.note
    FROM json_to_recordset(given.ticks) AS t (
        owner integer, id text, schedule text, tick bigint, last bigint, count bigint, outcome text, reason text, job text,
        due_at bigint, at bigint, "by" text, note text)
    CROSS JOIN LATERAL (SELECT holders -> t.owner::text ->> t.job AS holder) AS h
    WHERE t.owner <> ALL (outrun || busy)
    ON CONFLICT (id) DO NOTHING;
    IF given.events IS NOT NULL THEN
        PERFORM append_events(told_of_changes(given.events, given.event_owners, outrun || busy, holders), moment);
    END IF;
    RETURN json_build_object('outrun', outrun, 'busy', busy, 'holders', holders);
END
$$;
