-- Note that the nodes that hold these jobs are lost, those that are not yet, and tell of it. One that somebody else has locked,
-- who is about to, is passed over.
CREATE OR REPLACE FUNCTION {schema}.lose(ids text[], moment bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    names text[];
BEGIN
    IF cardinality(ids) = 0 THEN
        RETURN;
    END IF;
    names := ARRAY(
        SELECT n.id FROM nodes AS n
        WHERE n.id = ANY (ARRAY(SELECT DISTINCT j.node FROM jobs AS j WHERE j.id = ANY (ids))) AND NOT n.lost
        ORDER BY n.id FOR UPDATE SKIP LOCKED);
    UPDATE nodes SET lost = true WHERE id = ANY (names);
    IF cardinality(names) > 0 AND cardinality(wanted('{node.lost}')) > 0 THEN
        INSERT INTO unnumbered (name, subject, time, data)
        SELECT 'node.lost', n.id, moment, json_strip_nulls(json_build_object('host', nullif(n.host, '')))::text
        FROM nodes AS n WHERE n.id = ANY (names) ORDER BY n.id;
    END IF;
END
$$;
