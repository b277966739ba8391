-- Delete the history of jobs.
-- ?1 JSON: seqs
DELETE FROM backburner_attempts WHERE job IN (SELECT value FROM json_each(?1))
