-- Move subscriptions on.
-- :cursors JSON: [name, number] a subscription
UPDATE backburner_subscriptions AS subscription
SET cursor = moved.number
FROM (SELECT value ->> 0 AS name, value ->> 1 AS number FROM json_each(:cursors)) AS moved
WHERE subscription.name = moved.name
