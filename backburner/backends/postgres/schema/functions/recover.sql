-- Hand a node, under new tokens, jobs to settle that it is not to run: the claims of dead nodes, then what has expired.
-- {"now", "node", "limit"}. Dead nodes whose claims are handed over for the first time are told of; those that hold nothing any
-- more are struck from the list.
CREATE OR REPLACE FUNCTION {schema}.recover(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    moment bigint := instant((document ->> 'now')::bigint);
    receiver text := document ->> 'node';
    most integer := greatest(0, (document ->> 'limit')::integer);
    dead text[];
    ids text[];
    recovered json;
BEGIN
    -- Every node that is entered or holds a job: one probe a node, however many jobs each holds.
    WITH RECURSIVE holders (node) AS (
        SELECT min(j.node) FROM jobs AS j WHERE j.state = 'running'
        UNION ALL
        SELECT (SELECT min(j.node) FROM jobs AS j WHERE j.state = 'running' AND j.node > h.node)
        FROM holders AS h WHERE h.node IS NOT NULL
    )
    SELECT coalesce(array_agg(known.node), '{}') INTO dead
    FROM (SELECT h.node FROM holders AS h WHERE h.node IS NOT NULL UNION SELECT n.id FROM nodes AS n) AS known
    WHERE known.node <> receiver
      AND NOT EXISTS (SELECT FROM nodes AS n WHERE n.id = known.node AND n.lease_until > moment);
    ids := ARRAY(
        SELECT j.id FROM unnest(dead) AS d (node)
        CROSS JOIN LATERAL (
            SELECT r.id FROM jobs AS r WHERE r.state = 'running' AND r.node = d.node LIMIT most FOR UPDATE SKIP LOCKED
        ) AS j
        LIMIT most);
    PERFORM lose(ids, moment);
    ids := ids || ARRAY(
        SELECT j.id FROM jobs AS j
        WHERE j.state = 'pending' AND j.expires_at IS NOT NULL AND j.expires_at <= moment
        ORDER BY j.expires_at
        LIMIT most - cardinality(ids)
        FOR UPDATE SKIP LOCKED);
    WITH taken AS (
        SELECT j.id, j.state, j.node, j.gate FROM jobs AS j WHERE j.id = ANY (ids)
    ), handed AS (
        UPDATE jobs AS j SET
            recovered_cause = coalesce(
                j.recovered_cause, CASE WHEN t.state = 'running' THEN 'lapsed' ELSE 'expired' END),
            recovered_node = CASE
                WHEN j.recovered_cause IS NOT NULL THEN j.recovered_node WHEN t.state = 'running' THEN t.node END,
            state = 'running', gate = '', token = j.token + 1, node = receiver, lent = false
        FROM taken AS t
        WHERE j.id = t.id
        RETURNING json_build_object(
            'claim', claim_of(j, t.gate, moment), 'cause', j.recovered_cause, 'node', j.recovered_node,
            'cancel', j.cancel_reason IS NOT NULL) AS job
    )
    SELECT coalesce(json_agg(h.job), '[]') INTO recovered FROM handed AS h;
    IF cardinality(ids) > 0 AND anybody_parked() THEN
        -- Whose key may have come free: it waited for it, or held it only while it was pending, or for a time.
        PERFORM let_through(
            ARRAY(SELECT j.unique_key FROM jobs AS j WHERE j.id = ANY (ids) AND j.unique_key IS NOT NULL), moment);
    END IF;
    DELETE FROM nodes
    WHERE id = ANY (ARRAY(
        SELECT n.id FROM nodes AS n
        WHERE n.id = ANY (dead) AND n.lease_until <= moment
          AND (SELECT true FROM jobs AS j WHERE j.state = 'running' AND j.node = n.id LIMIT 1) IS NULL
        FOR UPDATE SKIP LOCKED));
    RETURN json_build_object('now', moment, 'jobs', recovered);
END
$$;
