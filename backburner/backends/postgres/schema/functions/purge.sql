-- Delete dead letters and their history: {"now", "letters": [letter], "operation"}, as `replay` has it. A child whose parent has
-- not ended is kept; of the others the children are let go, and a letter with children that others have locked is busy.
CREATE OR REPLACE FUNCTION {schema}.purge(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    given record;
    moment bigint;
    letter record;
    gone text[] := '{}';
    missed text[] := '{}';
    busy text[] := '{}';
    kept jsonb := '{}';
    children text[];
    tied text[];
BEGIN
    SELECT * INTO given FROM json_to_record(document) AS whole (now bigint, letters json, operation json);
    moment := instant(given.now);
    IF given.operation IS NOT NULL AND NOT advance(given.operation, moment) THEN
        RETURN json_build_object('now', moment, 'outrun', true);
    END IF;
    FOR letter IN SELECT * FROM letters(given.letters, moment) LOOP
        IF letter.busy THEN
            busy := busy || letter.id;
        ELSIF letter.missed THEN
            missed := missed || letter.id;
        ELSIF (SELECT true FROM jobs WHERE id = letter.parent AND ended_at IS NULL) THEN
            kept := kept || jsonb_build_object(letter.id, letter.parent);
        ELSE
            gone := gone || letter.id;
        END IF;
    END LOOP;
    children := ARRAY(
        SELECT j.id FROM unnest(gone) AS g (id)
        CROSS JOIN LATERAL (
            SELECT id FROM jobs WHERE parent = g.id AND parent IS NOT NULL FOR UPDATE SKIP LOCKED
        ) AS j);
    tied := ARRAY(
        SELECT g.id FROM unnest(gone) AS g (id)
        WHERE (
            SELECT true FROM jobs AS j WHERE j.parent = g.id AND j.parent IS NOT NULL AND j.id <> ALL (children) LIMIT 1));
    gone := ARRAY(SELECT unnest(gone) EXCEPT SELECT unnest(tied));
    UPDATE jobs SET parent = NULL, lifted = false WHERE id = ANY (children) AND parent <> ALL (tied);
    IF cardinality(wanted('{job.purged}')) > 0 THEN
        PERFORM tell_of_jobs('job.purged', gone, NULL, 'purged', moment);
    END IF;
    DELETE FROM attempts WHERE job = ANY (gone);
    DELETE FROM jobs WHERE id = ANY (gone);
    RETURN disposed(given.operation, cardinality(gone), missed, kept, busy || tied, moment);
END
$$;
