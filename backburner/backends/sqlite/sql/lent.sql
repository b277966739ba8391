-- Those of these runs with lanes, held by the node under these tokens, that begin or end to lend their slots: [id, lent]
-- a run.
-- :notes JSON: [id, token, lent] a run · :node
SELECT json_group_array(json_array(job.id, noted.lent))
FROM (SELECT value ->> 0 AS id, value ->> 1 AS token, value ->> 2 AS lent FROM json_each(:notes)) AS noted
CROSS JOIN backburner_jobs AS job ON job.id = noted.id
WHERE job.token = noted.token AND job.node = :node AND job.state = 'running' AND job.lent <> noted.lent
  AND job.lanes <> '[]'
