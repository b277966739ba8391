-- Store jobs with every option, pending or born running.
-- :now · :node the node of those born · :jobs JSON: [id, kind, queue, args, priority, due_at, expires_at, timeout, retry,
-- tags, gate, token, headers, parent, unique key, its states, until] a job; only a job that is born has a token
INSERT INTO backburner_jobs (
    created_at, id, kind, queue, args, priority, due_at, expires_at, timeout, retry, tags, gate,
    state, attempt, token, node, started_at, headers, parent, unique_key, unique_states, unique_until
)
SELECT
    :now, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value -> 9, value ->> 10,
    iif(value ->> 11 IS NULL, 'pending', 'running'),
    value ->> 11 IS NOT NULL,
    coalesce(value ->> 11, 0),
    iif(value ->> 11 IS NULL, NULL, :node),
    iif(value ->> 11 IS NULL, NULL, :now),
    value ->> 12, value ->> 13, value ->> 14, value ->> 15, value ->> 16
FROM json_each(:jobs)
