-- Bring dead letters back, due now; NULL keeps their arguments or their retry policy.
-- :letters JSON: [seq, gate, args, retry] a letter · :now
WITH anew (seq, gate, args, retry) AS MATERIALIZED (
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(:letters)
)
UPDATE backburner_jobs AS job
SET state = 'pending', gate = anew.gate, due_at = :now, expires_at = NULL, ended_at = NULL, failures = 0,
    backoff = NULL, reason = NULL, result = NULL, lifted = 0, args = coalesce(anew.args, job.args),
    retry = coalesce(anew.retry, job.retry)
FROM anew
WHERE job.seq = anew.seq
