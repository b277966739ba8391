-- How many may start now.
CREATE OR REPLACE FUNCTION {schema}.permits(rate {schema}.rate, meter {schema}.meter, moment bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    step bigint := {schema}.stride(rate);
    used {schema}.meter;
    weight bigint;
BEGIN
    IF rate.algorithm = 'gcra' THEN
        RETURN greatest(0, (moment + rate.burst * step - greatest(meter.mark, moment)) / step);
    END IF;
    used := {schema}.turned(rate, meter, moment);
    IF rate.algorithm = 'fixed' THEN
        RETURN greatest(0, rate."limit" - used.count);
    END IF;
    weight := used.previous * greatest(0, used.mark + rate.period - greatest(moment, used.mark));
    RETURN greatest(0, (rate."limit" * rate.period - weight) / rate.period - used.count);
END
$$;
