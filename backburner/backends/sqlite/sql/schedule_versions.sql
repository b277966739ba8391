-- The versions of these schedules, and when they were created.
-- :names (JSON)
SELECT json_group_object(name, json_array(version, created_at))
FROM backburner_schedules
WHERE name IN (SELECT value FROM json_each(:names))
