-- What each queue holds, by its name: in the line and at gates [waiting, first due, scheduled, retrying, held], how many
-- run, how many are dead; and how many stand at the gates of unknown kinds, by kind.
-- :now
SELECT
    (SELECT json_group_object(queue, json_array(waiting, oldest, later - again, again, held))
     FROM (
         SELECT
             queue,
             count(*) FILTER (WHERE gate = '' AND due_at <= :now) AS waiting,
             min(due_at) FILTER (WHERE gate = '' AND due_at <= :now) AS oldest,
             count(*) FILTER (WHERE gate = '' AND due_at > :now) AS later,
             (SELECT count(*) FROM backburner_jobs
              WHERE queue = job.queue AND due_at > :now AND failures > 0 AND gate = '' AND state = 'pending') AS again,
             count(*) FILTER (WHERE gate > '') AS held
         FROM backburner_jobs AS job
         WHERE state = 'pending'
         GROUP BY queue
     )),
    (SELECT json_group_object(queue, number)
     FROM (SELECT queue, count(*) AS number FROM backburner_jobs WHERE state = 'running' GROUP BY queue)),
    (SELECT json_group_object(queue, number)
     FROM (SELECT queue, count(*) AS number FROM backburner_jobs WHERE state = 'dead' GROUP BY queue)),
    (WITH RECURSIVE queues (name) AS (
         SELECT min(queue) FROM backburner_jobs WHERE state = 'pending'
         UNION ALL
         SELECT (SELECT min(queue) FROM backburner_jobs WHERE state = 'pending' AND queue > queues.name)
         FROM queues WHERE queues.name IS NOT NULL
     )
     SELECT json_group_object(substr(gate, length('unknown:') + 1), number)
     FROM (
         SELECT gate, count(*) AS number
         FROM queues CROSS JOIN backburner_jobs AS job
             ON job.queue = queues.name AND gate >= 'unknown:' AND gate < 'unknown;' AND state = 'pending'
         GROUP BY gate
     ))
