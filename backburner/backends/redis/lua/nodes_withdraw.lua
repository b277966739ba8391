-- Strike a node; tell that it died if it still holds claims.
-- KEYS: nodes, leases, held. ARGV: now, node, channel, hint.
redis.call("HDEL", KEYS[1], ARGV[2])
redis.call("ZREM", KEYS[2], ARGV[2])
if redis.call("ZLEXCOUNT", KEYS[3], "[" .. ARGV[2] .. "\0", "(" .. ARGV[2] .. "\1") > 0 then
    tell(ARGV[3], ARGV[4])
end
