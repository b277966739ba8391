-- How lanes stand, in the order asked: as `lanes` has it, and who runs there.
-- :lanes JSON: their names · :most holders
SELECT json_group_array(json_array(
-- include lane
    ,
    json((SELECT json_group_array(job) FROM (
        SELECT job FROM backburner_held WHERE lane = asked.name ORDER BY job LIMIT :most)))
))
FROM (SELECT key, value AS name FROM json_each(:lanes) ORDER BY key) AS asked
LEFT JOIN backburner_lanes AS lane ON lane.name = asked.name
