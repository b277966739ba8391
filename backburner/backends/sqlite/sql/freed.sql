-- Of each of these unique keys that nobody holds the first that stands at its gate: [key, seq] a key, in their order.
-- :keys (JSON) · :now
SELECT json_group_array(json_array(key, seq))
FROM (
    SELECT asked.key,
-- include next_in
        AS seq
    FROM (SELECT value AS key, '' AS beside FROM json_each(:keys)) AS asked
    WHERE
-- include holder
        IS NULL
)
WHERE seq IS NOT NULL
