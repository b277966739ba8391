-- Whether this transaction may make a lane's row: until it ends none of some others does, so that nobody waits for a row that
-- another is about to make. One of a few turns for all lanes: each that is taken has a place in the server's table of locks.
CREATE OR REPLACE FUNCTION {schema}.creating(lane text) RETURNS boolean LANGUAGE sql AS $$
    SELECT pg_try_advisory_xact_lock(hashtextextended(((hashtext(lane) & 255)::text), hashtextextended({literal}, 4)))
$$;
