-- Answer the members of the index of children in some ranges, one range after the other.
-- KEYS: children. ARGV: now, how many at most, and of each range the highest and lowest member as ZREVRANGEBYLEX has them.
local answer = {}
for index = 3, #ARGV, 2 do
    local left = ARGV[2] - #answer
    if left == 0 then
        break
    end
    for _, member in ipairs(redis.call("ZREVRANGEBYLEX", KEYS[1], ARGV[index], ARGV[index + 1], "LIMIT", 0, left)) do
        answer[#answer + 1] = member
    end
end
return answer
