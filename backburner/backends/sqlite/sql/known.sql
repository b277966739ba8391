-- Which of these ids are stored, each with its state, node and token.
-- :ids (JSON)
SELECT json_group_array(json_array(id, state, node, token))
FROM backburner_jobs
WHERE id IN (SELECT value FROM json_each(:ids))
