-- Have runs that take back a slot they lent count against their lanes again, of those that have slots now.
CREATE OR REPLACE FUNCTION {schema}.take_back(ids text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- It goes on, above the limit if need be, so the lane is not waited for; but there is one, to wait for when it ends.
    PERFORM lock_lanes(ARRAY(SELECT DISTINCT lane FROM slots_of(ids)));
    INSERT INTO held (lane, job) SELECT lane, job FROM slots_of(ids) ON CONFLICT DO NOTHING;
END
$$;
