-- The log's name, its last number, and all subscriptions by name.
SELECT
    log.name, log.last,
    (SELECT json_group_array(
-- include subscription
     ) FROM (SELECT * FROM backburner_subscriptions ORDER BY name))
FROM
-- include log
