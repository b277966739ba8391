-- Jobs but those of some owners; NULL where none is left. `owners` names the one of each.
CREATE OR REPLACE FUNCTION {schema}.without(jobs json, owners integer[], left_out integer[]) RETURNS json LANGUAGE sql AS $$
    SELECT json_agg(j.job ORDER BY j.nth) FROM json_array_elements(jobs) WITH ORDINALITY AS j (job, nth)
    WHERE owners[j.nth] <> ALL (left_out)
$$;
