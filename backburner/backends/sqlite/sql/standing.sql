-- How the jobs of these ids stand, each with why it is to be cancelled or why it ended.
-- :ids (JSON)
SELECT json_group_array(json_array(id, state, node, token, cancel, iif(cancel, cancel_reason, reason)))
FROM backburner_jobs
WHERE id IN (SELECT value FROM json_each(:ids))
