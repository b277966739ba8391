-- Delete the history of jobs.
-- :seqs (JSON)
DELETE FROM backburner_attempts WHERE job IN (SELECT value FROM json_each(:seqs))
