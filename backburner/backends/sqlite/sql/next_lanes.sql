-- The next lanes that something is kept of, by name.
-- :after a lane · :limit
SELECT json_group_array(name)
FROM (SELECT name FROM backburner_lanes WHERE name > :after ORDER BY name LIMIT :limit)
