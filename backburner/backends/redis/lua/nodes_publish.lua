-- Enter a node, or change what it says of itself; that it was asked to drain stays.
-- KEYS: nodes, leases. ARGV: now, node, packed record, length of the lease in microseconds.
local known = redis.call("HGET", KEYS[1], ARGV[2])
local draining = known and string.sub(known, 1, 1) or "0"
even_if_full(KEYS[2])
redis.call("HSET", KEYS[1], ARGV[2], draining .. ARGV[3])
redis.call("ZADD", KEYS[2], now() + ARGV[4], ARGV[2])
