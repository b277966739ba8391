-- Renew a live node's lease; answer now, whether it is to drain, and of what it runs in
-- turn the id and the head of its packed run (see tables.lua: what a run has saved is much to carry at each beat).
-- KEYS: nodes, leases, held, runs. ARGV: now, node, length of the lease in microseconds.
local at = now()
local lease = redis.call("ZSCORE", KEYS[2], ARGV[2])
if not lease or tonumber(lease) <= at then
    return redis.error_reply("LEASELOST " .. ARGV[2])
end
even_if_full(KEYS[2])
redis.call("ZADD", KEYS[2], at + ARGV[3], ARGV[2])
local known = redis.call("HGET", KEYS[1], ARGV[2])
local answer = { at, known and string.sub(known, 1, 1) or "0" }
for _, member in ipairs(redis.call("ZRANGEBYLEX", KEYS[3], "[" .. ARGV[2] .. "\0", "(" .. ARGV[2] .. "\1")) do
    local id = string.match(member, "[^%z]*$")
    answer[#answer + 1] = id
    answer[#answer + 1] = string.sub(redis.call("HGET", KEYS[4], id), 1, 52)
end
return answer
