-- Of the first :looked events that pass the filter those that match, by number, one more than a page at most; before
-- them the log's name, up to which number events were deleted, and its last; and behind them the last number that was
-- looked at, NULL where there is more than a page, or where there are not as many.
-- :patterns JSON, NULL: any · :since · :until, NULL: any · :page · :looked · what the filter names
WITH patterns (value) AS MATERIALIZED (SELECT value FROM json_each(:patterns))
SELECT
    log.name, log.pruned, log.last, found.events,
    iif(found.number > :page, NULL, (
        SELECT number FROM backburner_events WHERE /* filter */ TRUE ORDER BY number LIMIT 1 OFFSET :looked - 1))
FROM (
    SELECT json_group_array(
-- include event
    ) AS events, count(*) AS number
    FROM (
        SELECT *
        FROM (SELECT * FROM backburner_events WHERE /* filter */ TRUE ORDER BY number LIMIT :looked) AS event
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
