-- Those of these lanes where jobs stand, but for budgets: who has not failed does not ask them.
-- :lanes (JSON)
SELECT json_group_array(name)
FROM (SELECT value AS name FROM json_each(:lanes)) AS asked
WHERE
-- include in_lane
    AND
-- include limit_of
    ->> 'deposit' IS NULL
