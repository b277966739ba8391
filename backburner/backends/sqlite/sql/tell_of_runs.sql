-- Store an event about each of these jobs that the node still holds under these tokens.
-- :claims JSON: [id, token] a claim · :node · :name · :beside what stands beside kind, queue and attempt (JSON) · :now
-- include told
FROM (SELECT value ->> 0 AS id, value ->> 1 AS token, :name AS name, :beside AS beside FROM json_each(:claims)) AS told
CROSS JOIN backburner_jobs AS job ON job.id = told.id
WHERE job.token = told.token AND job.node = :node AND job.state = 'running'
