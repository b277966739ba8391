-- Move subscriptions on, each where it stands as its confirmation says, with its jobs in one step: {"now", "names", "lanes",
-- "parts": [{"name", "cursor", "upto", "head", "owners", "tail"}]}, the jobs as `store` has them. Each stands for itself: one that
-- is refused for its content, or would have to wait for somebody's open transaction, is undone and answered so, one that was
-- outrun is answered as null. Answers {"now", "parts": [what became of each]}.
CREATE OR REPLACE FUNCTION {schema}.confirm(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    given record;
    part record;
    moment bigint;
    asked text[] := wanted('{job.enqueued}');
    standing text[] := '{}';
    stored json;
    answers json[] := '{}';
BEGIN
    SELECT * INTO given FROM json_to_record(document) AS whole (now bigint, names text[], lanes text[], parts json);
    moment := instant(given.now);
    IF given.lanes IS NOT NULL THEN
        standing := standing_at(given.lanes);
    END IF;
    -- What can be had at once, by name; what then has to be waited for, part by part, is not waited for for long.
    PERFORM FROM subscriptions WHERE name = ANY (given.names) ORDER BY name FOR UPDATE SKIP LOCKED;
    FOR part IN SELECT * FROM json_to_recordset(given.parts) AS part (
        name text, cursor bigint, upto bigint, head json, owners integer[], tail json)
    LOOP
        BEGIN
            UPDATE subscriptions AS s SET cursor = part.upto WHERE s.name = part.name AND s.cursor = part.cursor;
            IF NOT FOUND THEN
                answers := answers || 'null'::json;
                CONTINUE;
            END IF;
            stored := store(part.head, part.owners, NULL, NULL, part.tail, false, true, standing, asked, moment);
            IF json_array_length(stored -> 'busy') > 0 THEN
                RAISE lock_not_available;
            END IF;
            answers := answers || stored;
        EXCEPTION
            WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
                answers := answers || json_build_object('refused', SQLSTATE, 'why', SQLERRM);
            WHEN lock_not_available THEN
                answers := answers || json_build_object('busy', '{0}'::integer[]);
                -- However many are held, the others do not wait for each.
                PERFORM set_config('lock_timeout', '10ms', true);
        END;
    END LOOP;
    RETURN json_build_object('now', moment, 'parts', to_json(answers));
END
$$;
