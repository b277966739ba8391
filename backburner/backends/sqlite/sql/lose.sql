-- Have nodes that hold these jobs lost, those that are not yet.
-- :seqs (JSON)
UPDATE backburner_nodes SET lost = 1
WHERE NOT lost AND id IN (
    SELECT node FROM backburner_jobs
    WHERE state = 'running' AND seq IN (SELECT value FROM json_each(:seqs)))
RETURNING id, host
