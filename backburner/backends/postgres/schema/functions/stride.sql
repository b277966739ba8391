-- The microseconds between two permits, rounded up.
CREATE OR REPLACE FUNCTION {schema}.stride(rate {schema}.rate) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT (rate.period + rate."limit" - 1) / rate."limit"
$$;
