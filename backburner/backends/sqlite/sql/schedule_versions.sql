-- The versions of these schedules.
-- :names (JSON)
SELECT json_group_object(name, version)
FROM backburner_schedules
WHERE name IN (SELECT value FROM json_each(:names))
