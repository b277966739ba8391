-- Write a kind's pause, or forget it, and tell.
-- KEYS: kinds, leases. ARGV: now, kind, packed pause (empty: none), channel, hint.
even_if_full(KEYS[2])
if ARGV[3] == "" then
    redis.call("HDEL", KEYS[1], ARGV[2])
else
    redis.call("HSET", KEYS[1], ARGV[2], ARGV[3])
end
tell(ARGV[4], ARGV[5])
