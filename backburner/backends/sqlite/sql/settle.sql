-- Write how claims ended, however they did; the caller has seen that the node holds them under these tokens.
-- What was asked to be cancelled is not put back, and keeps the reason given then.
-- :claims JSON: [id, state, reason, result, delay, gate, backoff, failed, crashed, interrupted, unstarted, error, message,
-- fingerprint] a claim · :now
WITH ended (
    id, state, reason, result, delay, gate, backoff, failed, crashed, interrupted, unstarted, error, message, fingerprint
) AS MATERIALIZED (
    SELECT
        value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
        value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13
    FROM json_each(:claims)
)
UPDATE backburner_jobs AS job
SET state = iif(ended.state = 'pending' AND job.cancel, 'cancelled', ended.state),
    reason = iif(ended.state = 'pending', iif(job.cancel, job.cancel_reason, job.reason), ended.reason),
    result = iif(ended.state = 'pending', job.result, ended.result),
    ended_at = iif(ended.state = 'pending' AND NOT job.cancel, NULL, :now),
    due_at = iif(ended.state = 'pending' AND NOT job.cancel, :now + max(0, ended.delay), job.due_at),
    gate = iif(ended.state = 'pending' AND NOT job.cancel, ended.gate, ''),
    backoff = iif(ended.state = 'pending' AND NOT job.cancel, coalesce(ended.backoff, job.backoff), job.backoff),
    failures = job.failures + ended.failed,
    crashes = job.crashes + ended.crashed,
    interruptions = job.interruptions + ended.interrupted,
    attempt = max(0, job.attempt - ended.unstarted),
    error = iif(ended.error = '', job.error, ended.error),
    message = iif(ended.error = '', job.message, ended.message),
    fingerprint = iif(ended.error = '', job.fingerprint, ended.fingerprint),
    cancel = 0,
    cancel_reason = NULL,
    lent = 0,
    recovered_cause = NULL,
    recovered_node = NULL
FROM ended
WHERE job.id = ended.id
