-- Delete subscriptions that nobody has subscribed under for their ttl.
-- :now
DELETE FROM backburner_subscriptions WHERE seen_at + ttl <= :now
