-- Hold on to a lease that is live: {"now", "name", "holder", "token", "ttl"}; a ttl of 0 lets it go. Answers whether it was.
CREATE OR REPLACE FUNCTION {schema}.renew(document json) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    given record;
    moment bigint;
BEGIN
    SELECT * INTO given FROM json_to_record(document) AS whole (
        now bigint, name text, holder text, token bigint, ttl bigint);
    PERFORM naming(given.name);
    moment := instant(given.now);
    UPDATE leases AS l SET until = moment + given.ttl
    WHERE l.name = given.name AND l.holder = given.holder AND l.token = given.token AND l.until > moment;
    RETURN FOUND;
END
$$;
