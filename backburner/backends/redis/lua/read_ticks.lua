-- Walk an index of the ledger downwards; answer now, and of each line its member there, and its value.
-- KEYS: index, ticks. ARGV: now, highest and lowest member as ZREVRANGEBYLEX has them, how many at most, how many bytes
-- stand before the id in a member.
local answer = { now() }
for _, member in ipairs(redis.call("ZREVRANGEBYLEX", KEYS[1], ARGV[2], ARGV[3], "LIMIT", 0, ARGV[4])) do
    answer[#answer + 1] = member
    answer[#answer + 1] = redis.call("HGET", KEYS[2], string.sub(member, ARGV[5] + 1))
end
return answer
