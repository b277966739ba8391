-- Walk an index of ids upwards; answer now, and of each its id, its job, its run and the members of its history.
-- KEYS: index, jobs, runs, history. ARGV: now, lowest and highest id as ZRANGEBYLEX has them, how many at most.
local answer = { now() }
for _, id in ipairs(redis.call("ZRANGEBYLEX", KEYS[1], ARGV[2], ARGV[3], "LIMIT", 0, ARGV[4])) do
    answer[#answer + 1] = id
    answer[#answer + 1] = redis.call("HGET", KEYS[2], id)
    answer[#answer + 1] = redis.call("HGET", KEYS[3], id)
    answer[#answer + 1] = redis.call("ZRANGEBYLEX", KEYS[4], "[" .. id .. "\0", "(" .. id .. "\1")
end
return answer
