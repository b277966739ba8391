-- How the jobs of these ids stand.
-- :ids (JSON)
SELECT json_group_array(json_array(id, state, node, token, cancel))
FROM backburner_jobs
WHERE id IN (SELECT value FROM json_each(:ids))
