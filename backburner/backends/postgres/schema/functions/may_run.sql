-- Whether a job that is due may be born running on a node with a live lease: its queue is not paused and has no rate, its kind
-- is not paused, nobody of the same or a smaller priority is due there, and an operator's slots leave the node room.
CREATE OR REPLACE FUNCTION {schema}.may_run(asked_queue text, rank smallint, asked_kind text, bearer text, moment bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    settings queues;
BEGIN
    SELECT * INTO settings FROM queues WHERE name = asked_queue;
    IF settings.rate IS NOT NULL OR settings.paused AND coalesce(settings.paused_until > moment, true)
        OR (SELECT true FROM kinds WHERE name = asked_kind AND coalesce(paused_until > moment, true))
    THEN
        RETURN false;
    END IF;
    IF settings.slots IS NOT NULL THEN
        IF NOT counting(bearer, asked_queue) THEN
            RETURN false;
        END IF;
        -- A statement of its own, to see what others have just added.
        IF settings.slots <= (
            SELECT count(*) FROM jobs WHERE state = 'running' AND node = bearer AND queue = asked_queue AND NOT lent
        ) THEN
            RETURN false;
        END IF;
    END IF;
    RETURN NOT EXISTS (
        SELECT FROM generate_series(0, rank) AS ahead (priority)
        WHERE (
            SELECT true FROM jobs AS j
            WHERE j.state = 'pending' AND j.queue = asked_queue AND j.gate = '' AND j.priority = ahead.priority
              AND j.due_at <= moment
            LIMIT 1));
END
$$;
