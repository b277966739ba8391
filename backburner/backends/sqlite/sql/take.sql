-- Hand pending jobs to a node.
-- :seqs (JSON) · :node · :now
UPDATE backburner_jobs
SET state = 'running', gate = '', attempt = attempt + 1, token = token + 1, node = :node, started_at = :now
WHERE seq IN (SELECT value FROM json_each(:seqs))
