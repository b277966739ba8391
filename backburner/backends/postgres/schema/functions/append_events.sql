-- Store events, [{"id", "name", "subject", "data", "kept", "patterns": [what asks for it]}], in their order: those that a
-- subscription asks for, or are kept; of one id the first. Answers how many. Never waits: what somebody's open transaction
-- writes under the same id is not seen, and told apart when they are numbered.
CREATE OR REPLACE FUNCTION {schema}.append_events(given json, moment bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    stored bigint;
BEGIN
    INSERT INTO unnumbered (id, name, subject, time, data)
    SELECT e.id, e.name, coalesce(e.subject, ''), moment, coalesce(e.data, '{}')
    FROM (
        SELECT a.*, row_number() OVER (PARTITION BY a.id ORDER BY a.nth) AS copy
        FROM ROWS FROM (json_to_recordset(given) AS (
            id text, name text, subject text, data text, kept boolean, patterns text[]
        )) WITH ORDINALITY AS a (id, name, subject, data, kept, patterns, nth)
        WHERE a.kept OR (SELECT true FROM patterns AS p WHERE p.pattern = ANY (a.patterns) LIMIT 1)
    ) AS e
    WHERE e.id IS NULL OR (
        e.copy = 1
        AND (SELECT true FROM unnumbered AS u WHERE u.id = e.id AND u.id IS NOT NULL LIMIT 1) IS NULL
        AND (SELECT true FROM events AS v WHERE v.id = e.id AND v.id IS NOT NULL LIMIT 1) IS NULL)
    ORDER BY e.nth;
    GET DIAGNOSTICS stored = ROW_COUNT;
    RETURN stored;
END
$$;
