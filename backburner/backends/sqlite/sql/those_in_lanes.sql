-- Of each queue the first that stand at the gates of these lanes, by priority, due time, id, as many as there is room
-- for, at most :most in all: [lane, seq] a job. One probe a job, however many stand there.
-- :lanes JSON: [lane, room] a lane · :most
WITH RECURSIVE found (gate, room, seq, queue, place) AS (
    -- Each with the queue of the one before it at the gate, and how many of that queue there were so far.
    SELECT asked.gate, asked.room, (
-- include first_in_lane
            ORDER BY queue, priority, due_at, id LIMIT 1
        ), NULL, 0
    FROM (SELECT 'lane:' || (value ->> 0) AS gate, value ->> 1 AS room FROM json_each(:lanes)) AS asked
    UNION ALL
    SELECT asked.gate, asked.room,
        iif(iif(last.queue IS asked.queue, asked.place + 1, 1) < asked.room, (
-- include first_in_lane
              -- The index is only compared with what has no type of its own.
              AND (queue, priority, due_at, id) > (+last.queue, +last.priority, +last.due_at, +last.id)
            ORDER BY queue, priority, due_at, id LIMIT 1
        ), (
-- include first_in_lane
              AND queue > last.queue
            ORDER BY queue, priority, due_at, id LIMIT 1
        )),
        last.queue, iif(last.queue IS asked.queue, asked.place + 1, 1)
    FROM found AS asked
    CROSS JOIN backburner_jobs AS last ON last.seq = asked.seq
)
SELECT json_group_array(json_array(substr(gate, length('lane:') + 1), seq))
FROM (SELECT gate, seq FROM found WHERE seq IS NOT NULL LIMIT :most)
