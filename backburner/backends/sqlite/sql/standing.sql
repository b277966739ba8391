-- How the jobs of these ids stand.
-- ?1 JSON: ids
SELECT json_group_array(json_array(id, state, node, token, cancel))
FROM backburner_jobs
WHERE id IN (SELECT value FROM json_each(?1))
