-- Number what is committed and has no number, in the order in which it was written, so many at most. Answers whether there
-- may be more; false where somebody else is at it.
--
-- The lock is let go after its holder's commit can be seen, and each statement here sees what was committed when it began: the
-- one after the lock sees all that was ever numbered. So numbers ascend from one sealing to the next, and each sealing is seen
-- whole or not at all: nobody can have read beyond a number that is given here. What is still open, in whichever transaction,
-- gets its numbers later, and holds up nobody: this looks at rows, not at transactions. It looks from the first row there is: to
-- begin where the last one ended would number what is written about a subject now before what was committed late.
--
-- Whoever writes about a job has it locked, until his commit can be seen: the next writes once that is so, and draws his `seq`
-- then. So where the later is seen here, the earlier is too, and it comes first.
CREATE OR REPLACE FUNCTION {schema}.seal() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    most CONSTANT integer := 20000;
    number_sealed integer;
BEGIN
    IF NOT EXISTS (SELECT FROM unnumbered) OR current_setting('transaction_isolation') NOT LIKE 'read %' OR NOT sealing() THEN
        RETURN false;
    END IF;
    WITH written AS (
        DELETE FROM unnumbered WHERE seq = ANY (ARRAY(SELECT seq FROM unnumbered ORDER BY seq LIMIT most)) RETURNING *
    ), once AS (
        SELECT w.*, row_number() OVER (ORDER BY w.seq) AS nth
        FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY seq) AS copy FROM written) AS w
        WHERE w.id IS NULL
           OR (w.copy = 1 AND (SELECT true FROM events AS e WHERE e.id = w.id AND e.id IS NOT NULL LIMIT 1) IS NULL)
    )
    INSERT INTO events (number, id, name, subject, time, data)
    SELECT (SELECT last FROM log) + o.nth, o.id, o.name, o.subject, o.time, o.data FROM once AS o ORDER BY o.nth;
    GET DIAGNOSTICS number_sealed = ROW_COUNT;
    UPDATE log SET last = last + number_sealed;
    RETURN true;
END
$$;
