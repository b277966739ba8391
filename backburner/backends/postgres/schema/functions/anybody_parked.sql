-- Whether anybody stands at the gate of a unique key.
CREATE OR REPLACE FUNCTION {schema}.anybody_parked() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN EXISTS (SELECT FROM jobs WHERE state = 'pending' AND gate >= 'unique:' AND gate < 'unique;');
END
$$;
