-- Answer now, the schedule that is due first after those that are answered (nothing where there is none), and of each that
-- is due: itself, and 1 if its last job has not ended. KEYS: coming, schedules, jobs, runs. ARGV: now, how many at most.
local at = now()
local limit = tonumber(ARGV[2])

-- Whether the last job of a schedule is there, and pending or running.
local function is_unended(value)
    local _, last_job = cmsgpack.unpack_one(value, 25)
    if not last_job or redis.call("HEXISTS", KEYS[3], last_job) == 0 then
        return false
    end
    local run = redis.call("HGET", KEYS[4], last_job)
    return not run or string.find("pr", string.sub(run, 1, 1), 1, true) ~= nil
end

local answer = { at, false }
local found = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", "+inf", "WITHSCORES", "LIMIT", 0, limit + 1)
for index = 1, #found, 2 do
    local value = redis.call("HGET", KEYS[2], found[index])
    if index > 2 * limit or tonumber(found[index + 1]) > at then
        answer[2] = value
        break
    end
    answer[#answer + 1] = value
    answer[#answer + 1] = is_unended(value) and 1 or 0
end
return answer
