-- Delete jobs.
-- :seqs (JSON)
DELETE FROM backburner_jobs WHERE seq IN (SELECT value FROM json_each(:seqs))
