-- When the next job at one of these gates is due.
-- ?1 JSON: [queue, gate] a gate · ?2 now
SELECT min((
    SELECT due_at FROM backburner_jobs
    WHERE state = 'pending' AND queue = asked.value ->> 0 AND gate = asked.value ->> 1
      AND priority = priorities.value AND due_at > ?2
    ORDER BY due_at LIMIT 1
))
FROM json_each(?1) AS asked
CROSS JOIN json_each('[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]') AS priorities
