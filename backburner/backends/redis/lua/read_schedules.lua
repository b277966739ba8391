-- Answer now, and schedules: of these names (nothing where there is none), or the first of those above a name.
-- KEYS: schedules, and where to look for names, if anywhere. ARGV: now, then names, or the lowest one as ZRANGEBYLEX has it
-- and how many at most.
local answer = { now() }
local names = KEYS[2] and redis.call("ZRANGEBYLEX", KEYS[2], ARGV[2], "+", "LIMIT", 0, ARGV[3]) or { unpack(ARGV, 2) }
for _, name in ipairs(names) do
    answer[#answer + 1] = redis.call("HGET", KEYS[1], name)
end
return answer
