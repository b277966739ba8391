-- As read_events has it, but from the last down.
-- :patterns JSON, NULL: any · :since · :until, NULL: any · :page · :looked · what the filter names
WITH patterns (value) AS MATERIALIZED (SELECT value FROM json_each(:patterns))
SELECT
    log.name, log.pruned, log.last, found.events,
    iif(found.number > :page, NULL, (
        SELECT number FROM backburner_events WHERE /* filter */ TRUE ORDER BY number DESC LIMIT 1 OFFSET :looked - 1))
FROM (
    SELECT json_group_array(
-- include event
    ) AS events, count(*) AS number
    FROM (
        SELECT *
        FROM (SELECT * FROM backburner_events WHERE /* filter */ TRUE ORDER BY number DESC LIMIT :looked) AS event
        WHERE (:since IS NULL OR time >= :since)
          AND (:until IS NULL OR time < :until)
          AND (:patterns IS NULL OR EXISTS (SELECT 1 FROM patterns AS pattern WHERE
-- include wants
          ))
        LIMIT :page + 1
    )
) AS found
CROSS JOIN
-- include log
