-- Have jobs that wait in the line be due now.
-- :ids (JSON) · :now
UPDATE backburner_jobs SET due_at = :now WHERE id IN (SELECT value FROM json_each(:ids))
