-- The jobs of these ids, as they are read.
-- ?1 JSON: ids
SELECT json_group_array(
-- include record
)
FROM backburner_jobs
WHERE id IN (SELECT value FROM json_each(?1))
