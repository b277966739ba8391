-- Store an event about each of these jobs.
-- :events JSON: [id, name, data] a job: what stands beside its kind, queue and attempt (an object, as text) · :now
-- include told
FROM (SELECT value ->> 0 AS id, value ->> 1 AS name, value ->> 2 AS beside FROM json_each(:events)) AS told
CROSS JOIN backburner_jobs AS job ON job.id = told.id
