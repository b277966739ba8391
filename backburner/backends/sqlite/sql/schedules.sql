-- The schedules of these names, by name.
-- :names (JSON)
SELECT json_group_array(
-- include schedule
)
FROM (SELECT * FROM backburner_schedules WHERE name IN (SELECT value FROM json_each(:names)) ORDER BY name)
