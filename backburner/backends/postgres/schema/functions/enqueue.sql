-- Store jobs: {"now", "node", "lanes", "head": [job], "owners": [group], "tokens": [token], "tail": [job]}, as `store` has
-- it; or, each part for itself, {"now", "node", "lanes", "parts": [{"head", "owners", "tokens", "tail"}]}: one that is refused for
-- its content, or would have to wait for somebody's open transaction, is undone and answered so. Otherwise that ends the
-- whole write. `lanes` are those where jobs may be parked. Answers {"now", "parts": [what became of each]}.
CREATE OR REPLACE FUNCTION {schema}.enqueue(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    given record;
    part record;
    moment bigint;
    answers json[] := '{}';
    standing text[] := '{}';
    asked text[] := wanted('{job.enqueued,job.claimed}');
BEGIN
    -- Taken apart once: every -> would read the whole of it.
    SELECT * INTO given FROM json_to_record(document) AS whole (
        now bigint, node text, head json, owners integer[], tokens bigint[], tail json, parts json, lanes text[]);
    moment := instant(given.now);
    IF given.lanes IS NOT NULL THEN
        standing := standing_at(given.lanes);
    END IF;
    IF given.parts IS NULL THEN
        answers := answers || store(
            given.head, given.owners, given.node, given.tokens, given.tail, false, false, standing, asked, moment);
    END IF;
    FOR part IN SELECT * FROM json_to_recordset(given.parts) AS part (
        head json, owners integer[], tokens bigint[], tail json)
    LOOP
        BEGIN
            answers := answers || store(
                part.head, part.owners, given.node, part.tokens, part.tail, false, true, standing, asked, moment);
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
