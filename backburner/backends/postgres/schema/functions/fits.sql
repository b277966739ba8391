-- Whether arguments fit all conditions: [[[name, …], operator, scalar], …]. What is missing, or cannot be read, fits none.
-- The block that catches what cannot be read costs a sub-transaction a row; a filter by arguments reads them all anyway.
CREATE OR REPLACE FUNCTION {schema}.fits(args text, conditions text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    arguments json;
    condition json;
    name text;
    found json;
BEGIN
    arguments := {schema}.readable(args);
    FOR condition IN SELECT json_array_elements({schema}.readable(conditions)) LOOP
        found := arguments;
        FOR name IN SELECT json_array_elements_text(condition -> 0) LOOP
            found := CASE WHEN json_typeof(found) = 'object' THEN found -> name END;
        END LOOP;
        IF NOT {schema}.compares(found, condition ->> 1, condition -> 2) THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
EXCEPTION
    WHEN data_exception THEN
        RETURN false;
END
$$;
