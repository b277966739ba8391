-- Hand pending jobs to a node.
-- ?1 JSON: seqs · ?2 node · ?3 now
UPDATE backburner_jobs
SET state = 'running', gate = '', attempt = attempt + 1, token = token + 1, node = ?2, started_at = ?3
WHERE seq IN (SELECT value FROM json_each(?1))
