-- Delete ended jobs whose own time has passed, and their history: {"now", "limit", "completed", "cancelled", "dead", "ticks",
-- "events", "after_lane"}, how long each is kept, NULL for ever. Their children are let go first. A job that is kept for its parent's sake lets its
-- children go all the same, and is lifted out of what is to be pruned until its parent lets it go.
-- Ended operations are kept as long as the dead, lines of ledgers as long as `ticks` says, events as `events`, subscriptions as
-- they said. Rows that others have locked are passed over. What has no number is given one, should nobody ever read. Answers how many rows changed, without those lifted out; and the lane after which the next call goes on.
CREATE OR REPLACE FUNCTION {schema}.prune(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    moment bigint := instant((document ->> 'now')::bigint);
    most integer := (document ->> 'limit')::integer;
    room integer := most;
    changed integer := 0;
    past text[];
    orphans integer;
    gone text[];
    kept text[];
    forgotten integer;
    lines integer;
    asked text[] := wanted('{job.purged}');
BEGIN
    WHILE room > 0 LOOP
        past := ARRAY(
            SELECT due.id
            FROM (VALUES ('completed'), ('cancelled'), ('dead')) AS final (state)
            CROSS JOIN LATERAL (
                SELECT j.id FROM jobs AS j
                WHERE j.state = final.state AND j.ended_at <= moment - (document ->> final.state)::bigint
                  AND j.ended_at IS NOT NULL AND NOT j.lifted
                LIMIT room FOR UPDATE SKIP LOCKED
            ) AS due
            LIMIT room);
        EXIT WHEN cardinality(past) = 0;
        UPDATE jobs SET parent = NULL, lifted = false
        WHERE id = ANY (ARRAY(
            SELECT child.id FROM unnest(past) AS p (id)
            CROSS JOIN LATERAL (
                SELECT j.id FROM jobs AS j WHERE j.parent = p.id AND j.parent IS NOT NULL LIMIT room FOR UPDATE SKIP LOCKED
            ) AS child
            LIMIT room));
        GET DIAGNOSTICS orphans = ROW_COUNT;
        SELECT
            coalesce(array_agg(childless.id) FILTER (WHERE NOT childless.kept), '{}'),
            coalesce(array_agg(childless.id) FILTER (WHERE childless.kept), '{}')
        INTO gone, kept
        FROM (
            SELECT j.id, (SELECT true FROM jobs AS parent WHERE parent.id = j.parent) IS NOT NULL AS kept
            FROM jobs AS j
            WHERE j.id = ANY (past) AND (
                SELECT true FROM jobs AS child WHERE child.parent = j.id AND child.parent IS NOT NULL LIMIT 1) IS NULL
            LIMIT room - orphans
        ) AS childless;
        IF 'job.purged' = ANY (asked) THEN
            PERFORM tell_of_jobs(
                'job.purged', ARRAY(SELECT id FROM jobs WHERE id = ANY (gone) AND state IS NOT DISTINCT FROM 'dead'), NULL,
                'retention', moment);
        END IF;
        DELETE FROM attempts WHERE job = ANY (gone);
        DELETE FROM jobs WHERE id = ANY (gone);
        UPDATE jobs SET lifted = true WHERE id = ANY (kept);
        changed := changed + orphans + cardinality(gone);
        -- Where all that is left waits for locked children, the next call goes on.
        EXIT WHEN orphans + cardinality(gone) + cardinality(kept) = 0;
        room := room - orphans - cardinality(gone) - cardinality(kept);
    END LOOP;
    DELETE FROM operations
    WHERE id = ANY (ARRAY(
        SELECT id FROM operations
        WHERE NOT active AND changed_at <= moment - (document ->> 'dead')::bigint
        ORDER BY changed_at LIMIT room FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    DELETE FROM ticks
    WHERE id = ANY (ARRAY(
        SELECT id FROM ticks WHERE at <= moment - (document ->> 'ticks')::bigint
        ORDER BY at LIMIT room - forgotten FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS lines = ROW_COUNT;
    -- What the next token of a name is drawn from is past in any case.
    DELETE FROM leases
    WHERE (name, holder) IN (
        SELECT name, holder FROM leases WHERE until <= moment AND token < moment LIMIT most FOR UPDATE SKIP LOCKED);
    RETURN json_build_object(
        'changed', changed + forgotten + lines
            + prune_events((document ->> 'events')::bigint, room - forgotten - lines, moment),
        'after_lane', prune_lanes(document ->> 'after_lane', most, moment));
END
$$;
