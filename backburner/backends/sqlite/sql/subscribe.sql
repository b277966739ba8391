-- Enter a subscription, or take up the one of this name; NULL leaves it where it stands, a new one at the end of the log.
-- :name · :patterns (JSON) · :kind · :ttl · :after · :now
INSERT INTO backburner_subscriptions (name, patterns, kind, ttl, cursor, created_at, seen_at)
SELECT :name, :patterns, :kind, :ttl, coalesce(:after, log.last), :now, :now
FROM
-- include log
WHERE TRUE
ON CONFLICT (name) DO UPDATE SET
    patterns = excluded.patterns, kind = excluded.kind, ttl = excluded.ttl,
    cursor = coalesce(:after, backburner_subscriptions.cursor), seen_at = excluded.seen_at
