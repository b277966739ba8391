-- Which of these nodes hold nothing.
-- ?1 JSON: nodes
SELECT json_group_array(value) FROM json_each(?1)
WHERE NOT EXISTS (SELECT 1 FROM backburner_jobs WHERE state = 'running' AND node = value)
