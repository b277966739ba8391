-- The gates of misfits of these queues where anybody stands: one probe a gate, however many stand there.
-- :queues (JSON)
WITH RECURSIVE found (queue, gate) AS (
    SELECT value, 'misfit:' FROM json_each(:queues)
    UNION ALL
    SELECT queue, (
        SELECT min(gate) FROM backburner_jobs
        WHERE state = 'pending' AND queue = found.queue AND gate > found.gate AND gate < 'misfit;')
    FROM found WHERE gate IS NOT NULL
)
SELECT json_group_array(json_array(queue, gate)) FROM found WHERE gate > 'misfit:'
