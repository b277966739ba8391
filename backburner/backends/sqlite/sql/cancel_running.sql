-- Ask for jobs that run to be cancelled; a person's reason stands in place of their own group's.
-- :ids (JSON) · :reason · :group the group's reason
UPDATE backburner_jobs
SET cancel = 1, cancel_reason = :reason
WHERE state = 'running' AND id IN (SELECT value FROM json_each(:ids))
  AND (NOT cancel OR (cancel_reason = :group AND :reason <> :group))
