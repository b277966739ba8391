-- Which of these ids are stored, each with its state, node and token.
-- ?1 JSON: ids
SELECT json_group_array(json_array(id, state, node, token))
FROM backburner_jobs
WHERE id IN (SELECT value FROM json_each(?1))
