-- End a node's lease, and tell that it died; it stays listed until its claims are recovered.
-- KEYS: leases. ARGV: now, node, channel, hint.
even_if_full(KEYS[1])
if redis.call("ZADD", KEYS[1], "XX", "LT", "CH", 0, ARGV[2]) == 1 then
    tell(ARGV[3], ARGV[4])
end
