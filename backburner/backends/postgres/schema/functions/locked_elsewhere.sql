-- Lock these jobs, passing over those that others have locked, which are answered.
CREATE OR REPLACE FUNCTION {schema}.locked_elsewhere(ids text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    held text[];
BEGIN
    held := ARRAY(SELECT id FROM jobs WHERE id = ANY (ids) ORDER BY id FOR UPDATE SKIP LOCKED);
    RETURN ARRAY(SELECT id FROM jobs WHERE id = ANY (ids) EXCEPT SELECT unnest(held));
END
$$;
