-- Delete jobs.
-- ?1 JSON: seqs
DELETE FROM backburner_jobs WHERE seq IN (SELECT value FROM json_each(?1))
