-- Have these jobs looked at again where they were lifted out of what is to be pruned: they have children to let go.
-- :ids (JSON)
UPDATE backburner_jobs SET lifted = 0 WHERE lifted AND id IN (SELECT value FROM json_each(:ids))
