-- Complete the jobs that the node still holds under these tokens.
-- Materialized, the claims are walked and each job found by its id; joined, every job the node holds is walked.
-- :claims JSON: [id, token, result] a claim · :node · :now
WITH ended (id, token, result) AS MATERIALIZED (
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:claims)
)
UPDATE backburner_jobs AS job
SET state = 'completed', result = ended.result, reason = NULL, ended_at = :now, cancel = 0,
    cancel_reason = NULL, lent = 0, recovered_cause = NULL, recovered_node = NULL
FROM ended
WHERE job.id = ended.id AND job.token = ended.token AND job.node = :node AND job.state = 'running'
