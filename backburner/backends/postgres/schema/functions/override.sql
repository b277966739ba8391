-- Write what an operator sets in place of what code declares: {"now", "name", "limit": JSON as text, "by", "reason", "events":
-- as `append_events` has them}; no limit takes that back.
CREATE OR REPLACE FUNCTION {schema}.override(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    moment bigint := instant((document ->> 'now')::bigint);
    row limits;
BEGIN
    PERFORM changing();
    SELECT * INTO row FROM limits WHERE name = document ->> 'name';
    row.name := document ->> 'name';
    row.override := document ->> 'limit';
    row.set_by := CASE WHEN row.override IS NOT NULL THEN document ->> 'by' END;
    row.reason := CASE WHEN row.override IS NOT NULL THEN document ->> 'reason' END;
    PERFORM set_limit(row, moment);
    IF json_array_length(document -> 'events') > 0 THEN
        PERFORM append_events(document -> 'events', moment);
    END IF;
    RETURN '{}';
END
$$;
