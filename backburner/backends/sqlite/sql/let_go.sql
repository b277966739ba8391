-- Count runs no more.
-- :ids (JSON)
DELETE FROM backburner_held WHERE job IN (SELECT value FROM json_each(:ids))
