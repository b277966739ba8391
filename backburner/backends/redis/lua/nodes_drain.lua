-- Ask a live node to drain; answer 1, or 0 when no live node has this id.
-- KEYS: those of logging, nodes, leases. ARGV: now, node, channel, hint, events.
-- include logging

local NODES, LEASES = unpack(KEYS, 5)
local known = redis.call("HGET", NODES, ARGV[2])
local lease = redis.call("ZSCORE", LEASES, ARGV[2])
if not known or not lease or tonumber(lease) <= now() then
    return 0
end
even_if_full(LEASES)
redis.call("HSET", NODES, ARGV[2], "1" .. string.sub(known, 2))
events.add_all(ARGV[5])
events.write()
tell(ARGV[3], ARGV[4])
return 1
