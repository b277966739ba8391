-- Lift children out of what is to be pruned.
-- :seqs (JSON)
UPDATE backburner_jobs SET lifted = 1 WHERE seq IN (SELECT value FROM json_each(:seqs))
