-- Let so many of each queue who stand at a lane into the line, by priority, due time, id, and so many in all; answers how many. Rows
-- that others have locked are passed over. One probe a queue, however many stand there.
CREATE OR REPLACE FUNCTION {schema}.let_in_at(lane text, of_each bigint, in_all bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    at_gate text := 'lane:' || lane;
    at_queue text := '';
    number bigint;
    entered bigint := 0;
BEGIN
    WHILE entered < in_all AND of_each > 0 LOOP
        SELECT min(queue) INTO at_queue FROM jobs
        WHERE state = 'pending' AND gate = at_gate AND gate >= 'lane:' AND gate < 'lane;' AND queue > at_queue;
        EXIT WHEN at_queue IS NULL;
        UPDATE jobs SET gate = ''
        WHERE id = ANY (ARRAY(
            SELECT id FROM jobs
            WHERE state = 'pending' AND gate = at_gate AND gate >= 'lane:' AND gate < 'lane;' AND queue = at_queue
            ORDER BY priority, due_at, id LIMIT least(of_each, in_all - entered) FOR UPDATE SKIP LOCKED));
        GET DIAGNOSTICS number = ROW_COUNT;
        entered := entered + number;
    END LOOP;
    RETURN entered;
END
$$;
