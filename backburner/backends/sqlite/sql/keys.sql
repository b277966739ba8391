-- The unique keys of these jobs.
-- :ids (JSON)
SELECT json_group_array(DISTINCT unique_key)
FROM backburner_jobs
WHERE id IN (SELECT value FROM json_each(:ids)) AND unique_key IS NOT NULL
