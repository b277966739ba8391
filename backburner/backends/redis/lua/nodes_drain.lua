-- Ask a live node to drain; answer 1, or 0 when no live node has this id.
-- KEYS: nodes, leases. ARGV: now, node, channel, hint.
local known = redis.call("HGET", KEYS[1], ARGV[2])
local lease = redis.call("ZSCORE", KEYS[2], ARGV[2])
if not known or not lease or tonumber(lease) <= now() then
    return 0
end
even_if_full(KEYS[2])
redis.call("HSET", KEYS[1], ARGV[2], "1" .. string.sub(known, 2))
tell(ARGV[3], ARGV[4])
return 1
