-- A rate as JSON has it, which leaves out what is at its default; NULL for none.
CREATE OR REPLACE FUNCTION {schema}.to_rate(given json) RETURNS {schema}.rate LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN json_typeof(given) = 'object'
        THEN json_populate_record(ROW(NULL, NULL, 'gcra', 1)::{schema}.rate, given) END
$$;
