        id >= :prefix AND substr(id, 1, length(:prefix)) = :prefix
        AND (:parent IS NULL OR parent = :parent)
        AND (:node IS NULL OR node = :node)
        AND (:kinds IS NULL OR kind IN (SELECT value FROM json_each(:kinds)))
        AND (:queues IS NULL OR queue IN (SELECT value FROM json_each(:queues)))
        AND (:since IS NULL OR created_at >= :since)
        AND (:until IS NULL OR created_at < :until)
        AND (:fingerprint IS NULL OR fingerprint = :fingerprint)
        AND (:error IS NULL OR instr(error, :error) > 0 OR instr(message, :error) > 0)
        AND (:states IS NULL OR
-- include shown
            IN (SELECT value FROM json_each(:states)))
        AND (:tags IS NULL OR EXISTS (
            SELECT 1 FROM json_each(tags) WHERE value IN (SELECT value FROM json_each(:tags))))
        -- Every condition has a place in the arguments that fits it. A place is found name by name: SQLite's paths cannot
        -- write every name. It is compared by JSON's types: text with text, numbers with numbers.
        AND (:conditions IS NULL OR NOT EXISTS (
            SELECT 1 FROM json_each(:conditions) AS condition
            WHERE NOT EXISTS (
                WITH RECURSIVE walk (depth, found, type) AS (
                    SELECT 0, args, json_type(args)
                    UNION ALL
                    SELECT walk.depth + 1, child.value, replace(child.type, 'integer', 'real')
                    FROM walk
                    CROSS JOIN json_each(iif(walk.type = 'object', walk.found, '{}')) AS child
                    WHERE child.key = condition.value -> 0 ->> walk.depth
                ),
                wanted (depth, operator, value, type) AS (
                    SELECT
                        json_array_length(condition.value, '$[0]'), condition.value ->> 1, condition.value ->> 2,
                        replace(json_type(condition.value, '$[2]'), 'integer', 'real')
                )
                SELECT 1 FROM walk JOIN wanted USING (depth)
                WHERE CASE
                    WHEN walk.type IN ('object', 'array') THEN FALSE
                    WHEN operator = '=' THEN walk.type = wanted.type AND found IS value
                    WHEN operator = '!=' THEN walk.type <> wanted.type OR found IS NOT value
                    WHEN walk.type <> wanted.type THEN FALSE
                    WHEN operator = '~' THEN walk.type = 'text' AND instr(found, value) > 0
                    WHEN walk.type NOT IN ('text', 'real') THEN FALSE
                    WHEN operator = '<' THEN found < value
                    WHEN operator = '<=' THEN found <= value
                    WHEN operator = '>' THEN found > value
                    WHEN operator = '>=' THEN found >= value
                END
            )
        ))
