-- Bring dead letters back: {"now", "letters": [letter], "operation": {"id", "version", "state", "active"}}. Where the operation
-- is of another version by now, nothing is done.
CREATE OR REPLACE FUNCTION {schema}.replay(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    given record;
    moment bigint;
    letter record;
    keeper text;
    -- Keys that letters of this call hold from now on, each with the letter's id.
    taken jsonb := '{}';
    ids text[] := '{}';
    arguments text[] := '{}';
    policies text[] := '{}';
    gates text[] := '{}';
    missed text[] := '{}';
    busy text[] := '{}';
    kept jsonb := '{}';
BEGIN
    SELECT * INTO given FROM json_to_record(document) AS whole (now bigint, letters json, operation json);
    moment := instant(given.now);
    IF given.operation IS NOT NULL AND NOT advance(given.operation, moment) THEN
        RETURN json_build_object('now', moment, 'outrun', true);
    END IF;
    FOR letter IN SELECT * FROM letters(given.letters, moment) LOOP
        IF letter.busy THEN
            busy := busy || letter.id;
            CONTINUE;
        END IF;
        IF letter.missed THEN
            missed := missed || letter.id;
            CONTINUE;
        END IF;
        IF letter.holding IS NOT NULL THEN
            IF NOT mine(letter.holding) THEN
                busy := busy || letter.id;
                CONTINUE;
            END IF;
            keeper := coalesce(taken ->> letter.holding, holder(letter.holding, letter.id, moment));
            IF keeper IS NOT NULL THEN
                kept := kept || jsonb_build_object(letter.id, keeper);
                CONTINUE;
            END IF;
            taken := taken || jsonb_build_object(letter.holding, letter.id);
        END IF;
        ids := ids || letter.id;
        arguments := arguments || letter.args;
        policies := policies || letter.retry;
        gates := gates || letter.gate;
    END LOOP;
    UPDATE jobs AS j SET
        state = 'pending', gate = l.gate, due_at = moment, args = coalesce(l.args, j.args), retry = coalesce(l.retry, j.retry),
        failures = 0, backoff = NULL, reason = NULL, result = NULL, ended_at = NULL, expires_at = NULL, cancel_reason = NULL,
        lifted = false
    FROM unnest(ids, arguments, policies, gates) AS l (id, args, retry, gate)
    WHERE j.id = l.id;
    IF cardinality(wanted('{job.replayed}')) > 0 THEN
        PERFORM tell_of_jobs('job.replayed', ids, NULL, NULL, moment);
    END IF;
    PERFORM stand_at(gates, moment);
    RETURN disposed(given.operation, cardinality(ids), missed, kept, busy, moment);
END
$$;
