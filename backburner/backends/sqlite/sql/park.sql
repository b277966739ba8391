-- Park jobs of kinds that the node does not know at their kind's gate.
-- :seqs (JSON) · :prefix what such a gate's name begins with
UPDATE backburner_jobs
SET gate = :prefix || kind
WHERE seq IN (SELECT value FROM json_each(:seqs))
