-- The log's name, its last number, and the subscription of this name.
-- :name
SELECT
    log.name, log.last,
    (SELECT
-- include subscription
     FROM backburner_subscriptions WHERE name = :name)
FROM
-- include log
