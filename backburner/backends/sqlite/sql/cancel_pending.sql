-- Cancel jobs that wait.
-- ?1 JSON: ids · ?2 now
UPDATE backburner_jobs
SET state = 'cancelled', reason = 'cancelled', gate = '', ended_at = ?2
WHERE state = 'pending' AND id IN (SELECT value FROM json_each(?1))
