-- Store jobs as they were in another store. ARGV: now, jobs: id, job, run, gate, how many attempts and those, oldest first,
-- each; the values as they are kept. Answers: now, and of those that were not stored their places from 0, and after
-- each "" (known), or the id of who holds its key.
-- include tables
-- include uniques
-- include lanes
-- include inserting

local jobs = {}
local next_at = 2
while ARGV[next_at] do
    local each = { unpack(ARGV, next_at, next_at + 3) }
    local attempts = tonumber(ARGV[next_at + 4])
    each.first, each.last = next_at + 5, next_at + 4 + attempts
    next_at = each.last + 1
    jobs[#jobs + 1] = each
end

local known, seen = known_of(jobs), {}
local answer = { NOW8 }

local function say(at, what)
    answer[#answer + 1] = at - 1
    answer[#answer + 1] = what
end

local function holder_beside(job, run, gate)
    if not job.key or gate == UNIQUE .. job.key then
        return nil
    end
    local holds = find(job.states, run.state, 1, true) or (job.till and number_of(job.till) > NOW)
    return holds and holder_of(job.key)
end

local function store(each, job, run, gate)
    two(set_job, job.id, each[2])
    two(set_run, job.id, each[3])
    two(to_ids, 0, job.id)
    if run.state == "p" then
        stand(job, gate, run.due, run.failures)
        if sub(gate, 1, 5) == LANE then
            -- It may have room here.
            redis.call("ZADD", OPENING, NOW, sub(gate, 6))
        end
    else
        two(to_ended, 0, run.state .. run.ended .. job.id)
        if run.state == "d" then
            two(to_dead, 0, job.id)
            two(to_letters, 0, job.queue .. "\0" .. job.id)
        end
    end
    if job.parent then
        -- Its parent may be of this very write.
        flush()
        enter_child(job)
    end
    enter_key(job, run.state, gate)
    for at = each.first, each.last do
        redis.call("ZADD", HISTORY, 0, job.id .. "\0" .. pack(">I4", at - each.first) .. ARGV[at])
    end
end

need_room(known)
for at, each in ipairs(jobs) do
    local id, gate = each[1], each[4]
    if known[at] or seen[id] then
        say(at, "")
    else
        local job, run = job_of(id, each[2]), run_of(each[3])
        local holder = holder_beside(job, run, gate)
        if holder then
            say(at, holder)
        else
            seen[id] = true
            store(each, job, run, gate)
        end
    end
end
flush()
return answer
