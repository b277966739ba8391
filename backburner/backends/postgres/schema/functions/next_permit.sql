-- When the next may start: now if one may.
CREATE OR REPLACE FUNCTION {schema}.next_permit(rate {schema}.rate, meter {schema}.meter, moment bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    step bigint := {schema}.stride(rate);
    used {schema}.meter;
    turns bigint;
BEGIN
    IF {schema}.permits(rate, meter, moment) > 0 THEN
        RETURN moment;
    END IF;
    IF rate.algorithm = 'gcra' THEN
        RETURN meter.mark + step - rate.burst * step;
    END IF;
    used := {schema}.turned(rate, meter, moment);
    -- Not always mark + period: a mark that is no multiple of the period was made before the period was changed.
    turns := used.mark - used.mark % rate.period + rate.period;
    IF rate.algorithm = 'fixed' OR used.count >= rate."limit" OR used.previous = 0 THEN
        -- Of a sliding window, that is when this one begins to go out of sight; it is looked at again then.
        RETURN turns;
    END IF;
    RETURN least(turns, greatest(
        moment + 1, used.mark + rate.period - (rate."limit" - used.count - 1) * rate.period / used.previous));
END
$$;
