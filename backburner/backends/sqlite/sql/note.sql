-- Write down what runs told of themselves, where the node still holds them under these tokens; NULL keeps what is stored.
-- :notes JSON: [id, token, [done, total], checkpoint, lent] a run · :node
WITH noted (id, token, done, total, checkpoint, lent) AS MATERIALIZED (
    SELECT value ->> 0, value ->> 1, value ->> '$[2][0]', value ->> '$[2][1]', value ->> 3, value ->> 4
    FROM json_each(:notes)
)
UPDATE backburner_jobs AS job
SET done = coalesce(noted.done, job.done),
    total = iif(noted.done IS NULL, job.total, noted.total),
    checkpoint = coalesce(noted.checkpoint, job.checkpoint),
    lent = coalesce(noted.lent, job.lent)
FROM noted
WHERE job.id = noted.id AND job.token = noted.token AND job.node = :node AND job.state = 'running'
