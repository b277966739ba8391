-- Those of these lanes where jobs stand.
-- :lanes (JSON)
SELECT json_group_array(name)
FROM (SELECT value AS name FROM json_each(:lanes)) AS asked
WHERE
-- include in_lane
