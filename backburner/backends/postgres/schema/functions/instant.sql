-- The store's now, or the one that a test gives.
CREATE OR REPLACE FUNCTION {schema}.instant(given bigint) RETURNS bigint LANGUAGE sql AS $$
    SELECT coalesce(given, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
$$;
