-- Who holds the unique keys of these jobs beside the jobs themselves: the first id, where several do.
-- :jobs JSON: [id, key] a job · :now
SELECT json_group_object(beside, holder)
FROM (
    SELECT asked.beside,
-- include holder
        AS holder
    FROM (SELECT value ->> 0 AS beside, value ->> 1 AS key FROM json_each(:jobs)) AS asked
)
WHERE holder IS NOT NULL
