-- Store whole jobs.
-- :jobs JSON: a record as it is read, then the states in which it holds its unique key, and until when
INSERT INTO backburner_jobs (
    id, kind, queue, state, gate, priority, args, result, reason, tags, attempt, failures, crashes, interruptions, token,
    node, timeout, retry, backoff, created_at, due_at, expires_at, started_at, ended_at, error, message, fingerprint,
    headers, parent, unique_key, checkpoint, done, total, lanes, unique_states, unique_until
)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8,
    value -> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15, value ->> 17,
    value ->> 18, value ->> 19, value ->> 20, value ->> 21, value ->> 22, value ->> 23, value ->> 24, value ->> 25,
    value ->> 26, value ->> 27, value ->> 28, value ->> 29, value ->> 30, value ->> 31, value ->> 32, value ->> 33,
    value ->> 34, value ->> 35, value ->> 36
FROM json_each(:jobs)
