-- The jobs of these ids, as they are read.
-- :ids (JSON)
SELECT json_group_array(
-- include record
)
FROM backburner_jobs
WHERE id IN (SELECT value FROM json_each(:ids))
