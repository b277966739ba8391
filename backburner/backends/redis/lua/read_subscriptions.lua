-- Answer now, the name of the log, the number of its newest event, and in turns the names of subscriptions and themselves:
-- of these (nothing where there is none), or all. KEYS: meta, subscriptions. ARGV: now, "some" or "all", names.
local log, last = unpack(redis.call("HMGET", KEYS[1], "log", "last"))
local answer = { now(), log or "", tonumber(last or 0) }
if ARGV[2] == "all" then
    for _, item in ipairs(redis.call("HGETALL", KEYS[2])) do
        answer[#answer + 1] = item
    end
end
for at = 3, #ARGV do
    answer[#answer + 1] = ARGV[at]
    answer[#answer + 1] = redis.call("HGET", KEYS[2], ARGV[at])
end
return answer
