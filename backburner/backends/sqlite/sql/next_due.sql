-- When the next job at one of these gates is due, of those due after a moment.
-- :gates JSON: [queue, gate, moment] a gate
SELECT min((
    SELECT due_at FROM backburner_jobs
    WHERE state = 'pending' AND queue = asked.value ->> 0 AND gate = asked.value ->> 1
      AND priority = priorities.value AND due_at > asked.value ->> 2
    ORDER BY due_at LIMIT 1
))
FROM json_each(:gates) AS asked
CROSS JOIN json_each('[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]') AS priorities
