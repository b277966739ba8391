-- Ask no more for running jobs to be cancelled.
-- :ids (JSON)
UPDATE backburner_jobs
SET cancel = 0, cancel_reason = NULL
WHERE state = 'running' AND id IN (SELECT value FROM json_each(:ids))
