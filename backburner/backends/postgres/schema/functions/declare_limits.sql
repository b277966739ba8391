-- Write what code declares, JSON by name; what is declared so already is left alone.
CREATE OR REPLACE FUNCTION {schema}.declare_limits(stated json, moment bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    alone boolean := false;
    each record;
    row limits;
BEGIN
    FOR each IN SELECT key AS name, value AS declared FROM json_each_text(stated) ORDER BY key LOOP
        SELECT * INTO row FROM limits WHERE name = each.name;
        CONTINUE WHEN row.declared = each.declared;
        IF NOT alone THEN
            PERFORM changing();
            alone := true;
            -- As it is by now.
            SELECT * INTO row FROM limits WHERE name = each.name;
        END IF;
        row.name := each.name;
        row.declared := each.declared;
        PERFORM set_limit(row, moment);
    END LOOP;
END
$$;
