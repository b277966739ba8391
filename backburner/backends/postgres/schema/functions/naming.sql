-- Wait until nobody else decides about who holds a name; until this transaction ends nobody else does.
CREATE OR REPLACE FUNCTION {schema}.naming(name text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended(name, hashtextextended({literal}, 3)))
$$;
