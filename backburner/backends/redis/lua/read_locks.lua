-- Answer now, and in turns these names, or all there are, and what is kept under them (see locking).
-- KEYS: locks. ARGV: now, names.
local answer = { now() }
if #ARGV == 1 then
    for _, item in ipairs(redis.call("HGETALL", KEYS[1])) do
        answer[#answer + 1] = item
    end
end
for index = 2, #ARGV do
    answer[#answer + 1] = ARGV[index]
    answer[#answer + 1] = redis.call("HGET", KEYS[1], ARGV[index])
end
return answer
