-- Cancel jobs that wait.
-- :ids (JSON) · :now
UPDATE backburner_jobs
SET state = 'cancelled', reason = 'cancelled', gate = '', ended_at = :now
WHERE state = 'pending' AND id IN (SELECT value FROM json_each(:ids))
