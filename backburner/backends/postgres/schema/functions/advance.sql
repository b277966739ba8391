-- Write how far an operation is, if it is of that version: {"id", "version", "state", "active"}. Tells whether it was; until this
-- transaction ends nobody else goes on with it.
CREATE OR REPLACE FUNCTION {schema}.advance(operation json, moment bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE operations SET
        state = operation ->> 'state', active = (operation ->> 'active')::boolean, version = version + 1,
        changed_at = moment
    WHERE id = operation ->> 'id' AND version = (operation ->> 'version')::bigint;
    RETURN FOUND;
END
$$;
