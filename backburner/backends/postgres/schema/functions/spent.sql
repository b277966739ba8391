-- The meter after so many have started now.
CREATE OR REPLACE FUNCTION {schema}.spent(rate {schema}.rate, meter {schema}.meter, moment bigint, number bigint) RETURNS {schema}.meter LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    used {schema}.meter;
BEGIN
    IF rate.algorithm = 'gcra' THEN
        RETURN ROW(
            rate::text, greatest(meter.mark, moment) + number * {schema}.stride(rate), 0, 0)::{schema}.meter;
    END IF;
    used := {schema}.turned(rate, meter, moment);
    RETURN ROW(rate::text, used.mark, used.count + number, used.previous)::{schema}.meter;
END
$$;
