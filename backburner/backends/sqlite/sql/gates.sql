-- Which of these gates have anyone standing at them.
-- :gates JSON: [queue, gate] a gate
SELECT json_group_array(json(asked.value))
FROM json_each(:gates) AS asked
WHERE EXISTS (
    SELECT 1 FROM backburner_jobs
    WHERE state = 'pending' AND queue = asked.value ->> 0 AND gate = asked.value ->> 1
)
