-- What stands before a job that would be born into a queue: whether the queue is paused, how many runs an operator's
-- slots leave this node (NULL: as many as it likes), and the first priority that has a due job in the line.
-- ?1 queue · ?2 node · ?3 now
SELECT
    (SELECT paused AND coalesce(paused_until > ?3, 1) FROM backburner_queues WHERE name = ?1),
    (SELECT slots - (SELECT count(*) FROM backburner_jobs WHERE state = 'running' AND node = ?2 AND queue = ?1)
     FROM backburner_queues WHERE name = ?1 AND slots IS NOT NULL),
    (SELECT priority FROM backburner_jobs
     WHERE state = 'pending' AND queue = ?1 AND gate = '' AND due_at <= ?3
       AND priority IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
     ORDER BY priority LIMIT 1)
