-- Count who stands at lanes: queues and how many, in turns, of a thousand lanes' queues at most. KEYS: parked. ARGV: now,
-- where to begin as ZRANGEBYLEX has it. Answers: where to go on (nothing: those were all), then those.
local MOST = 1000
local answer = { false }
local from = ARGV[2]
for _ = 1, MOST do
    local first = redis.call("ZRANGEBYLEX", KEYS[1], from, "+", "LIMIT", 0, 1)[1]
    if not first then
        return answer
    end
    local queue_at = string.find(first, "\0", 1, true) + 1
    local stop = string.find(first, "\0", queue_at, true)
    local front = string.sub(first, 1, stop - 1)
    answer[#answer + 1] = string.sub(first, queue_at, stop - 1)
    answer[#answer + 1] = redis.call("ZLEXCOUNT", KEYS[1], "[" .. front .. "\0", "(" .. front .. "\1")
    from = "[" .. front .. "\1"
end
answer[1] = from
return answer
