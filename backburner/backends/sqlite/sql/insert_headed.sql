-- Store jobs that wait in line from now on, with headers, and leave everything else at its default.
-- :now · :jobs JSON: [id, kind, queue, args, priority, headers] a job
INSERT INTO backburner_jobs (created_at, due_at, id, kind, queue, args, priority, headers)
SELECT :now, :now, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
FROM json_each(:jobs)
