-- Write a kind's pause, or forget it, and tell. KEYS: those of logging, kinds, leases. ARGV: now, kind, packed pause
-- (empty: none), channel, hint, events.
-- include logging

local KINDS, LEASES = unpack(KEYS, 5)
even_if_full(LEASES)
if ARGV[3] == "" then
    redis.call("HDEL", KINDS, ARGV[2])
else
    redis.call("HSET", KINDS, ARGV[2], ARGV[3])
end
events.add_all(ARGV[6])
events.write()
tell(ARGV[4], ARGV[5])
