-- What stands before a job that would be born into a queue: whether the queue is paused or has a rate, how many runs an
-- operator's slots leave this node (NULL: as many as it likes; those whose slot is lent count for nothing), the first
-- priority that has a due job in the line, and the kinds that are paused.
-- :queue · :node · :now
SELECT
    (SELECT rate IS NOT NULL OR (paused AND coalesce(paused_until > :now, 1))
     FROM backburner_queues WHERE name = :queue),
    (SELECT slots - (
         SELECT count(*) FROM backburner_jobs
         WHERE state = 'running' AND node = :node AND queue = :queue AND NOT lent)
     FROM backburner_queues WHERE name = :queue AND slots IS NOT NULL),
    (SELECT priority FROM backburner_jobs
     WHERE state = 'pending' AND queue = :queue AND gate = '' AND due_at <= :now
       AND priority IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
     ORDER BY priority LIMIT 1),
    (SELECT json_group_array(name) FROM backburner_kinds WHERE coalesce(paused_until > :now, 1))
