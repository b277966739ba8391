-- Wait until nobody judges by lanes, and keep others from it until this transaction ends.
CREATE OR REPLACE FUNCTION {schema}.changing() RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended({literal}, 2))
$$;
