-- Write a queue's settings, in place of those before, and tell; what was used of another rate is forgotten. KEYS: those of
-- logging, queues, leases, meters, filling. ARGV: now, queue, packed settings, its rate as text (empty: none), channel,
-- hint, events.
-- include logging

local QUEUES, LEASES, METERS, FILLING = unpack(KEYS, 5)
even_if_full(LEASES)
redis.call("HSET", QUEUES, ARGV[2], ARGV[3])
local name = "\0" .. ARGV[2]
local meter = redis.call("HGET", METERS, name)
if meter and ARGV[4] ~= "" and string.sub(meter, 1, 5) ~= string.sub(redis.sha1hex(ARGV[4]), 1, 5) then
    redis.call("HDEL", METERS, name)
    redis.call("ZREM", FILLING, name)
end
events.add_all(ARGV[7])
events.write()
tell(ARGV[5], ARGV[6])
