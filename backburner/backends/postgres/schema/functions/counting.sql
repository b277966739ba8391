-- Whether this transaction may fill what an operator's slots leave a node of a queue: until it ends no other of the node's
-- does, so that none counts what another is about to add. Never waits.
CREATE OR REPLACE FUNCTION {schema}.counting(asking text, asked_queue text) RETURNS boolean LANGUAGE sql AS $$
    SELECT pg_try_advisory_xact_lock(hashtextextended(asked_queue, hashtextextended({literal} || ' ' || asking, 1)))
$$;
