-- The schedules that match, by name.
-- :limit, and what the filter names
SELECT json_group_array(
-- include schedule
)
FROM (
    SELECT * FROM backburner_schedules
    WHERE /* filter */ TRUE
    ORDER BY name
    LIMIT :limit
)
