-- Take a named lease: {"now", "name", "holder", "ttl", "shared"}. Answers {"now", "token", "until"}, as the port has it.
CREATE OR REPLACE FUNCTION {schema}.acquire(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    given record;
    moment bigint;
    mine leases;
    others bigint;
    drawn bigint;
BEGIN
    SELECT * INTO given FROM json_to_record(document) AS whole (
        now bigint, name text, holder text, ttl bigint, shared boolean);
    PERFORM naming(given.name);
    -- Not before it is one's turn: what was live then may be over.
    moment := instant(given.now);
    SELECT * INTO mine FROM leases AS l WHERE l.name = given.name AND l.holder = given.holder AND l.until > moment;
    SELECT max(l.until) INTO others FROM leases AS l
    WHERE l.name = given.name AND l.until > moment AND CASE
        WHEN l.holder = given.holder THEN l.shared <> given.shared ELSE NOT (l.shared AND given.shared) END;
    IF others IS NOT NULL THEN
        RETURN json_build_object('now', moment, 'token', NULL, 'until', others);
    END IF;
    IF mine.token IS NULL THEN
        SELECT greatest(moment, max(l.token) + 1) INTO drawn FROM leases AS l WHERE l.name = given.name;
        -- Above a token that is in the past the next one is in any case.
        DELETE FROM leases AS l WHERE l.name = given.name AND l.until <= moment;
    END IF;
    INSERT INTO leases AS l (name, holder, token, shared, until)
    VALUES (given.name, given.holder, coalesce(mine.token, drawn), given.shared, moment + given.ttl)
    ON CONFLICT (name, holder) DO UPDATE SET until = excluded.until;
    RETURN json_build_object('now', moment, 'token', coalesce(mine.token, drawn), 'until', NULL);
END
$$;
