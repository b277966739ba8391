-- The event that tells of a settlement, by its state, its ending, and whether the job is pending again. A run that ended since
-- it was asked to, by somebody who asks no more, was interrupted.
CREATE OR REPLACE FUNCTION {schema}.event_of_settlement(state text, ending text, put_back boolean) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN NOT put_back THEN 'job.' || CASE state WHEN 'pending' THEN 'cancelled' ELSE state END
        WHEN ending IS NULL THEN 'job.released'
        WHEN ending = 'failed' THEN 'job.retry'
        WHEN ending IN ('snoozed', 'crashed', 'misfit') THEN 'job.' || ending
        ELSE 'job.interrupted' END
$$;
