-- Taking in new jobs, whoever stores them. Included after inserting.

-- The ids of those that this script has stored.
local taken_in = {}

-- Undo that a child's own group cancelled it, or asked to.
local function take_up(each, job)
    local run = read_run(job)
    if run.state == "r" and run.more.asked == "group" then
        run.asked, run.more.asked = "-", nil
        redis.call("HSET", RUNS, job.id, run_value(run))
        return nil
    end
    if run.state ~= "x" or run.more.reason ~= "group" then
        return "duplicate"
    end
    local key = each[LINKS] and each[LINKS][3]
    local holder = key and holder_of(key, job.id)
    if holder then
        return "=" .. holder
    end
    strike_key(job)
    redis.call("ZREM", ENDED, "x" .. run.ended .. job.id)
    local value, due = value_of(each)
    local again = fresh(job_of(job.id, value))
    again.token = run.token
    store_pending(each, value, due, gate_of(each, due), again)
end

-- What a job comes to that was stored before, by this script or another.
local function meet(each)
    flush()
    local job, parent = read_job(each[1]), each[LINKS] and each[LINKS][5]
    if not parent or parent ~= job.parent then
        return "duplicate"
    end
    return take_up(each, job)
end

-- Take in a job; `known` if it is stored already, and `offer` a function that stores it running if it may, and tells
-- whether it did. Returns "born", "duplicate", or the id of who holds its key behind "="; else nothing, and of a job that is
-- new its gate, and when it is due.
local function take_in(each, known, offer)
    local id = each[1]
    if known or taken_in[id] then
        return meet(each)
    end
    local key = each[LINKS] and each[LINKS][3]
    local holder = key and holder_of(key)
    if holder then
        return "=" .. holder
    end
    taken_in[id] = true
    local value, due = value_of(each)
    if offer and offer(each, value, due) then
        return "born"
    end
    local gate = gate_of(each, due)
    store_pending(each, value, due, gate)
    return nil, gate, due
end
