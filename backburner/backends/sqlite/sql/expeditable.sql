-- How the jobs of these ids answer to being brought forward, by id.
-- :ids (JSON) · :now
SELECT json_group_object(id, CASE
    WHEN state = 'running' THEN 'running'
    WHEN state <> 'pending' THEN 'ended'
    WHEN gate <> '' THEN 'gated'
    WHEN due_at > :now THEN 'expedited'
    ELSE 'due'
END)
FROM backburner_jobs
WHERE id IN (SELECT value FROM json_each(:ids))
