-- Park jobs of kinds that the node does not know at their kind's gate.
-- ?1 JSON: seqs · ?2 what such a gate's name begins with
UPDATE backburner_jobs
SET gate = ?2 || kind
WHERE seq IN (SELECT value FROM json_each(?1))
