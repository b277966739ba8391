-- Enter a node, or change what it says of itself; that it was asked to drain stays. KEYS: those of logging, nodes, leases.
-- ARGV: now, node, packed record, length of the lease in microseconds, events for one that is new.
-- include logging

local NODES, LEASES = unpack(KEYS, 5)
local known = redis.call("HGET", NODES, ARGV[2])
local draining = known and string.sub(known, 1, 1) or "0"
even_if_full(LEASES)
redis.call("HSET", NODES, ARGV[2], draining .. ARGV[3])
redis.call("ZADD", LEASES, now() + ARGV[4], ARGV[2])
if not known then
    events.add_all(ARGV[5])
    events.write()
end
