-- Cancel jobs that wait.
-- :ids (JSON) · :reason · :now
UPDATE backburner_jobs
SET state = 'cancelled', reason = :reason, gate = '', ended_at = :now
WHERE state = 'pending' AND id IN (SELECT value FROM json_each(:ids))
