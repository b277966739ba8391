-- Store jobs with every option of their own, pending or born running.
-- :now · :node the node of those born · :jobs JSON: [id, kind, queue, args, priority, due_at, expires_at, timeout, retry,
-- tags, gate, token] a job; only a job that is born has a token
INSERT INTO backburner_jobs (
    created_at, id, kind, queue, args, priority, due_at, expires_at, timeout, retry, tags, gate,
    state, attempt, token, node, started_at
)
SELECT
-- include born
FROM json_each(:jobs)
