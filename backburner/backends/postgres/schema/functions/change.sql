-- Write schedules, lines of their ledgers, and jobs: {"now", "careful", "names", "parts"}, each part as `change_part` has it,
-- and of other schedules than the rest. Careful, each part stands for itself: one that is refused for its content, or would
-- have to wait for somebody's open transaction, is undone and answered so. Otherwise that ends the whole write. Answers
-- {"now", "parts": [what became of each]}.
CREATE OR REPLACE FUNCTION {schema}.change(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    given record;
    part json;
    moment bigint;
    answers json[] := '{}';
    asked text[] := wanted('{job.enqueued}');
BEGIN
    SELECT * INTO given FROM json_to_record(document) AS whole (now bigint, careful boolean, names text[], parts json);
    moment := instant(given.now);
    IF given.careful THEN
        -- What can be had at once, by name; what then has to be waited for, part by part, is not waited for for long.
        PERFORM FROM schedules WHERE name = ANY (given.names) ORDER BY name FOR UPDATE SKIP LOCKED;
    END IF;
    FOR part IN SELECT json_array_elements(given.parts) LOOP
        IF given.careful IS NOT TRUE THEN
            answers := answers || change_part(part, false, asked, moment);
            CONTINUE;
        END IF;
        BEGIN
            answers := answers || change_part(part, true, asked, moment);
        EXCEPTION
            WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded THEN
                answers := answers || json_build_object('refused', SQLSTATE, 'why', SQLERRM);
            WHEN lock_not_available THEN
                answers := answers || json_build_object('busy', '{0}'::integer[]);
                -- However many are held, which may be all, the others do not wait for each.
                PERFORM set_config('lock_timeout', '1ms', true);
        END;
    END LOOP;
    RETURN json_build_object('now', moment, 'parts', to_json(answers));
END
$$;
