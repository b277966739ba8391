-- Walk an index of ids downwards; answer now, and of each its member there, its job and its run.
-- KEYS: index, jobs, runs. ARGV: now, highest and lowest member as ZREVRANGEBYLEX has them, how many at most, how many
-- bytes stand before the id in a member.
local answer = { now() }
for _, member in ipairs(redis.call("ZREVRANGEBYLEX", KEYS[1], ARGV[2], ARGV[3], "LIMIT", 0, ARGV[4])) do
    local id = string.sub(member, ARGV[5] + 1)
    answer[#answer + 1] = member
    answer[#answer + 1] = redis.call("HGET", KEYS[2], id)
    answer[#answer + 1] = redis.call("HGET", KEYS[3], id)
end
return answer
