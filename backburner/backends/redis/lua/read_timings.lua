-- Walk those who ended downwards; answer now, and of each its member in `ended`, its job and its run. KEYS: those of tables.
-- ARGV: now, for how many microseconds back, the highest member as ZREVRANGEBYLEX has it (its state in front), how many at
-- most, and whether to bring them whole (1); else without their arguments, what stands behind those, and what a run has
-- beside its head.
-- include tables

local state, whole = sub(ARGV[3], 2, 2), ARGV[5] == "1"

local function brief(value)
    local body = body_at(value)
    local args_at = cmsgpack.unpack_limit(value, 3, body + 1)
    return sub(value, 1, body) .. "\148" .. sub(value, body + 2, args_at) .. "\160"
end

local lowest = "[" .. state .. pack(">I8", math.max(0, NOW - tonumber(ARGV[2])))
local members = redis.call("ZREVRANGEBYLEX", ENDED, ARGV[3], lowest, "LIMIT", 0, ARGV[4])
local ids = {}
for at, member in ipairs(members) do
    ids[at] = sub(member, 10)
end
local jobs, runs = get_many("HMGET", JOBS, ids), get_many("HMGET", RUNS, ids)
local answer = { NOW }
for at, member in ipairs(members) do
    answer[3 * at - 1] = member
    answer[3 * at] = whole and jobs[at] or brief(jobs[at])
    answer[3 * at + 1] = whole and runs[at] or sub(runs[at], 1, 52) .. EMPTY
end
return answer
