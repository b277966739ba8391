-- Answer every limit: in turns its name and what is kept of it (see lanes).
-- KEYS: limits. ARGV: now.
return redis.call("HGETALL", KEYS[1])
