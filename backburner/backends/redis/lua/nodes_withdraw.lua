-- Strike a node; tell that it died if it still holds claims.
-- KEYS: those of logging, nodes, leases, held. ARGV: now, node, channel, hint, events for one that was there.
-- include logging

local NODES, LEASES, HELD = unpack(KEYS, 5)
if redis.call("HDEL", NODES, ARGV[2]) == 1 then
    events.add_all(ARGV[5])
    events.write()
end
redis.call("ZREM", LEASES, ARGV[2])
if redis.call("ZLEXCOUNT", HELD, "[" .. ARGV[2] .. "\0", "(" .. ARGV[2] .. "\1") > 0 then
    tell(ARGV[3], ARGV[4])
end
