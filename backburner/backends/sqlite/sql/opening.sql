-- How those lanes stand that open by now, first come first: as `lanes` has it.
-- :now · :limit
SELECT json_group_array(json_array(
-- include lane
))
FROM (SELECT name FROM backburner_lanes WHERE opens_at <= :now ORDER BY opens_at LIMIT :limit) AS asked
CROSS JOIN backburner_lanes AS lane ON lane.name = asked.name
