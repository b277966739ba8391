-- Whether this transaction may number events: until it ends nobody else does. Never waits.
CREATE OR REPLACE FUNCTION {schema}.sealing() RETURNS boolean LANGUAGE sql AS $$
    SELECT pg_try_advisory_xact_lock(hashtextextended({literal}, 5))
$$;
