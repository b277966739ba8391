-- How lanes stand, each: name, limit, running, its meter, opens_at, whether jobs stand there.
-- :lanes JSON: their names
SELECT json_group_array(json_array(
-- include lane
))
FROM (SELECT value AS name FROM json_each(:lanes)) AS asked
LEFT JOIN backburner_lanes AS lane ON lane.name = asked.name
