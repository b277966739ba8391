-- Store jobs with every option and with what links them to others, pending or born running.
-- :now · :node the node of those born · :jobs JSON: as insert_full has it, and then headers, parent, lanes,
-- unique key, its states, until
INSERT INTO backburner_jobs (
    created_at, id, kind, queue, args, priority, due_at, expires_at, timeout, retry, tags, gate,
    state, attempt, token, node, started_at, headers, parent, lanes, unique_key, unique_states, unique_until
)
SELECT
-- include born
    , value ->> 12, value ->> 13, value ->> 14, value ->> 15, value ->> 16, value ->> 17
FROM json_each(:jobs)
