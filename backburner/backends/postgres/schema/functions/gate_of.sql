-- The gate of the first of a job's lanes where others stand; empty where nobody does.
CREATE OR REPLACE FUNCTION {schema}.gate_of(lanes text[], standing text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    lane text;
BEGIN
    FOREACH lane IN ARRAY lanes LOOP
        IF lane = ANY (standing) THEN
            RETURN 'lane:' || lane;
        END IF;
    END LOOP;
    RETURN '';
END
$$;
