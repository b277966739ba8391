-- When it is next worth looking: when the first job at one of these gates is due, of those due after a moment, or when
-- its queue has a permit for it, whichever is later; or when a lane opens.
-- :gates JSON: [queue, gate, moment, permit] a gate
SELECT min(moment)
FROM (
    SELECT min(max((
        SELECT due_at FROM backburner_jobs
        WHERE state = 'pending' AND queue = asked.value ->> 0 AND gate = asked.value ->> 1
          AND priority = priorities.value AND due_at > asked.value ->> 2
        ORDER BY due_at LIMIT 1
    ), asked.value ->> 3)) AS moment
    FROM json_each(:gates) AS asked
    CROSS JOIN json_each('[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]') AS priorities
    UNION ALL
    SELECT min(opens_at) FROM backburner_lanes WHERE opens_at IS NOT NULL
)
