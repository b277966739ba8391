-- Delete events that were written as long ago as they are kept, from the front of the log, so many at most; and subscriptions
-- that nobody has asked for during their time. Answers how many rows. Before that what has no number is given one: this is
-- called now and then, should nobody ever read.
CREATE OR REPLACE FUNCTION {schema}.prune_events(kept bigint, most integer, moment bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    -- Up to which number.
    upto bigint;
    gone text[];
    deleted integer := 0;
BEGIN
    PERFORM seal();
    -- Whoever may number writes the row of the log, so that nobody has to wait for it.
    IF kept IS NOT NULL AND most > 0 AND sealing() THEN
        -- Of those that are gone nothing is walked over. One behind another that is younger waits for that.
        SELECT max(number) INTO upto
        FROM (
            SELECT number, max(time) OVER (ORDER BY number) AS latest
            FROM (
                SELECT number, time FROM events WHERE number > (SELECT pruned FROM log) ORDER BY number LIMIT most
            ) AS front
        ) AS dated
        WHERE latest <= moment - kept;
        IF upto IS NOT NULL THEN
            DELETE FROM events WHERE number > (SELECT pruned FROM log) AND number <= upto;
            GET DIAGNOSTICS deleted = ROW_COUNT;
            UPDATE log SET pruned = upto;
        END IF;
    END IF;
    gone := ARRAY(SELECT name FROM subscriptions WHERE seen_at + ttl <= moment FOR UPDATE SKIP LOCKED);
    IF cardinality(gone) > 0 THEN
        DELETE FROM patterns WHERE subscription = ANY (gone);
        DELETE FROM subscriptions WHERE name = ANY (gone);
    END IF;
    RETURN deleted + cardinality(gone);
END
$$;
