-- Let the children of these jobs go: they count as nobody's from now on.
-- :ids (JSON)
UPDATE backburner_jobs SET parent = NULL, lifted = 0
WHERE parent IN (SELECT value FROM json_each(:ids)) AND parent IS NOT NULL
