-- The meter of the window that is now, as `backburner.resilience.rates` has it, the next four too. A clock that went back
-- stays in its window.
CREATE OR REPLACE FUNCTION {schema}.turned(rate {schema}.rate, meter {schema}.meter, moment bigint) RETURNS {schema}.meter LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    begins bigint := moment - moment % rate.period;
BEGIN
    IF begins <= meter.mark THEN
        RETURN meter;
    END IF;
    RETURN ROW(
        rate::text, begins, 0, CASE WHEN meter.mark + rate.period = begins THEN meter.count ELSE 0 END)::{schema}.meter;
END
$$;
