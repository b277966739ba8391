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
local due = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", string.format("%.0f", at), "LIMIT", 0, limit + 1)
for index = 1, math.min(limit, #due) do
    local value = redis.call("HGET", KEYS[2], due[index])
    answer[#answer + 1] = value
    answer[#answer + 1] = is_unended(value) and 1 or 0
end
local following = due[limit + 1]
    or redis.call("ZRANGEBYSCORE", KEYS[1], string.format("(%.0f", at), "+inf", "LIMIT", 0, 1)[1]
if following then
    answer[2] = redis.call("HGET", KEYS[2], following)
end
return answer
