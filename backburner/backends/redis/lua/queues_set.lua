-- Write a queue's settings, in place of those before, and tell; what was used of another rate is forgotten.
-- KEYS: queues, leases, meters, filling. ARGV: now, queue, packed settings, its rate as text (empty: none), channel, hint.
even_if_full(KEYS[2])
redis.call("HSET", KEYS[1], ARGV[2], ARGV[3])
local name = "\0" .. ARGV[2]
local meter = redis.call("HGET", KEYS[3], name)
if meter and ARGV[4] ~= "" and string.sub(meter, 1, 5) ~= string.sub(redis.sha1hex(ARGV[4]), 1, 5) then
    redis.call("HDEL", KEYS[3], name)
    redis.call("ZREM", KEYS[4], name)
end
tell(ARGV[5], ARGV[6])
