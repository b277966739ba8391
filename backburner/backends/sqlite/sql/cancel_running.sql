-- Ask for jobs that run to be cancelled.
-- :ids (JSON)
UPDATE backburner_jobs
SET cancel = 1
WHERE state = 'running' AND NOT cancel AND id IN (SELECT value FROM json_each(:ids))
