-- Hand pending jobs, each from its gate, to a node; answers their claims, in no order.
CREATE OR REPLACE FUNCTION {schema}.hand_over(ids text[], gates text[], receiver text, asked text[], moment bigint) RETURNS json[] LANGUAGE plpgsql AS $$
DECLARE
    claims json[];
BEGIN
    WITH handed AS (
        UPDATE jobs AS j
        SET state = 'running', gate = '', attempt = j.attempt + 1, token = j.token + 1, node = receiver,
            started_at = moment
        FROM unnest(ids, gates) AS taken (id, gate)
        WHERE j.id = taken.id
        RETURNING claim_of(j, taken.gate, moment) AS claim
    )
    SELECT array_agg(claim) INTO claims FROM handed;
    IF 'job.claimed' = ANY (asked) THEN
        PERFORM tell_of_jobs('job.claimed', ids, receiver, NULL, moment);
    END IF;
    RETURN coalesce(claims, '{}');
END
$$;
