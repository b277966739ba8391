-- Answer 1 if a node's lease is over, else 0.
-- KEYS: leases. ARGV: now.
return #redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", string.format("%.0f", now()), "LIMIT", 0, 1)
