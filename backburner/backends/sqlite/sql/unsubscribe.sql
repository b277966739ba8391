-- Forget a subscription.
-- :name
DELETE FROM backburner_subscriptions WHERE name = :name
