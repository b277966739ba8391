-- Answer every node: its record behind the mark of draining, and whether its lease is live.
-- KEYS: nodes, leases. ARGV: now.
local at = now()
local nodes = redis.call("HGETALL", KEYS[1])
local answer = {}
for index = 1, #nodes, 2 do
    local lease = redis.call("ZSCORE", KEYS[2], nodes[index])
    answer[#answer + 1] = nodes[index + 1]
    answer[#answer + 1] = (lease and tonumber(lease) > at) and 1 or 0
end
return answer
