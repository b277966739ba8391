-- Let jobs into the line.
-- :seqs (JSON)
UPDATE backburner_jobs SET gate = '' WHERE seq IN (SELECT value FROM json_each(:seqs))
