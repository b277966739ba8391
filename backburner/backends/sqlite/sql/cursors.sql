-- Where these subscriptions stand.
-- :names (JSON)
SELECT json_group_object(name, cursor)
FROM backburner_subscriptions
WHERE name IN (SELECT value FROM json_each(:names))
