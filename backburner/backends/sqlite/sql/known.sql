-- Which of these ids are stored, each with its state, node and token, its parent, and why it ended or is to be
-- cancelled.
-- :ids (JSON)
SELECT json_group_array(json_array(
    id, state, node, token, parent, iif(state = 'running', cancel_reason, reason)))
FROM backburner_jobs
WHERE id IN (SELECT value FROM json_each(:ids))
