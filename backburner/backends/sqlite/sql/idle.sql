-- Which of these nodes hold nothing.
-- :nodes (JSON)
SELECT json_group_array(value) FROM json_each(:nodes)
WHERE NOT EXISTS (SELECT 1 FROM backburner_jobs WHERE state = 'running' AND node = value)
