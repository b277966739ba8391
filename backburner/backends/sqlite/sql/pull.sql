-- The log's name, and of each of these subscriptions, by name, where it stands, how far is looked, what was deleted above
-- that, and the events up to there that it asks for. No number is left out between the first and the last, so those up to
-- some distance are as many events.
-- Patterns are taken apart once: to read their JSON anew for each event would take most of the time.
-- :names (JSON) · :limit events a subscription · :looked how far is looked
WITH patterns (asking, value) AS MATERIALIZED (
    SELECT name, pattern.value
    FROM backburner_subscriptions CROSS JOIN json_each(patterns) AS pattern
    WHERE name IN (SELECT value FROM json_each(:names))
)
SELECT
    log.name,
    (SELECT json_group_array(json_object(
         'name', asking.name,
         'cursor', asking.cursor,
         'upto', asking.upto,
         'lost', iif(asking.cursor < log.pruned, log.pruned, NULL),
         'events', json((
             SELECT json_group_array(
-- include event
             )
             FROM (
                 SELECT * FROM backburner_events AS event
                 WHERE number > asking.cursor AND number <= asking.upto
                   AND EXISTS (SELECT 1 FROM patterns AS pattern WHERE pattern.asking = asking.name AND (
-- include wants
                   ))
                 ORDER BY number
                 LIMIT :limit
             )))
     ))
     FROM (
         SELECT name, cursor, max(cursor, min(log.last, max(cursor, log.pruned) + :looked)) AS upto
         FROM backburner_subscriptions
         WHERE name IN (SELECT value FROM json_each(:names))
         ORDER BY name
     ) AS asking)
FROM
-- include log
