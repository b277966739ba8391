-- Let children go: they count as nobody's from now on.
-- :seqs (JSON)
UPDATE backburner_jobs SET parent = NULL, lifted = 0 WHERE seq IN (SELECT value FROM json_each(:seqs))
