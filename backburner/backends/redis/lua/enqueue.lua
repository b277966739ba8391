-- Store jobs. ARGV: now, the node that offers to run some (empty: none), jobs (see inserting).
-- Answers: now, and of those that were not just stored: their places among the jobs from 0, and after each "born",
-- "duplicate", or the id of who holds its key behind "=".
-- include tables
-- include uniques
-- include lanes
-- include inserting

local node = ARGV[2]
local new = new_jobs(3, #ARGV)
local offered = node ~= "" and alive(node)
local answer = { NOW8 }
local known = known_of(new)
local seen = {}
-- Of each queue with a job on offer: the first priority that somebody waits at, and an operator's room.
local queues = {}
-- Of each kind of a job on offer, whether it is paused.
local pauses = {}

local function say(at, what)
    answer[#answer + 1] = at - 1
    answer[#answer + 1] = what
end

local function look(queue)
    local found = queues[queue]
    if found then
        return found
    end
    -- What this write has stored before counts.
    flush()
    local settings = settings_of(queue)
    found = { ahead = 10, room = settings.slots and settings.slots - runs_of(node, queue) }
    if paused(settings) or settings.rate then
        found.room = 0
    end
    local from, prefix = "[" .. queue .. "\0\0", #queue + 3
    repeat
        local first = redis.call("ZRANGEBYLEX", LINE, from, "(" .. queue .. "\0\1", "LIMIT", 0, 1)[1]
        if first then
            local priority = byte(first, prefix)
            if number_of(sub(first, prefix + 1, prefix + 8)) <= NOW then
                found.ahead = priority - 48
                break
            end
            from = "[" .. sub(first, 1, prefix - 1) .. string.char(priority + 1)
        end
    until not first
    queues[queue] = found
    return found
end

-- Whether an operator has paused the kind of a new job.
local function is_paused(each)
    local _, kind = cmsgpack.unpack_limit(each[4], 1, 1)
    if pauses[kind] == nil then
        local value = redis.call("HGET", KINDS, kind)
        pauses[kind] = value and paused(cmsgpack.unpack(value))
    end
    return pauses[kind]
end

local function may_run(each, due)
    if each[GATE] or number_of(due) > NOW or (each[LINKS] and each[LINKS][6]) then
        return false
    end
    local queue = look(each[2])
    if queue.ahead <= tonumber(each[3]) or (queue.room and queue.room < 1) or is_paused(each) then
        return false
    end
    if queue.room then
        queue.room = queue.room - 1
    end
    return true
end

local function bear(each, value)
    local id, queue = each[1], each[2]
    local job = job_of(id, value)
    local run = fresh(job)
    run.state, run.attempt, run.token, run.started = "r", 1, each[TOKEN], NOW8
    run.more = { node = node, queue = queue }
    two(set_job, id, value)
    two(to_ids, 0, id)
    two(set_run, id, run_value(run))
    two(to_held, 0, held_as(node, queue, id))
    if job.parent then
        enter_child(job)
    end
    enter_key(job, "r", "")
end

-- Undo that a child's own group cancelled it, or asked to; tell whether it had.
local function take_up(at, each, job)
    local run = read_run(job)
    if run.state == "r" and run.more.asked == "group" then
        run.asked, run.more.asked = "-", nil
        redis.call("HSET", RUNS, job.id, run_value(run))
        return true
    end
    if run.state ~= "x" or run.more.reason ~= "group" then
        return false
    end
    local key = each[LINKS] and each[LINKS][3]
    local holder = key and holder_of(key, job.id)
    if holder then
        say(at, "=" .. holder)
        return true
    end
    strike_key(job)
    redis.call("ZREM", ENDED, "x" .. run.ended .. job.id)
    local value, due = value_of(each)
    local again = fresh(job_of(job.id, value))
    again.token = run.token
    store_pending(each, value, due, gate_of(each, due), again)
    return true
end

-- What a job comes to that was stored before, by this write or another.
local function meet(at, each)
    flush()
    local id, parent = each[1], each[LINKS] and each[LINKS][5]
    local job = read_job(id)
    if each[TOKEN] then
        local run = read_run(job)
        if run.state == "r" and run.more.node == node and run.token == each[TOKEN] then
            return say(at, "born")
        end
    end
    if not (parent and parent == job.parent and take_up(at, each, job)) then
        say(at, "duplicate")
    end
end

need_room(known)
for at, each in ipairs(new) do
    local id = each[1]
    if known[at] or seen[id] then
        meet(at, each)
    else
        local key = each[LINKS] and each[LINKS][3]
        local holder = key and holder_of(key)
        if holder then
            say(at, "=" .. holder)
        else
            seen[id] = true
            local value, due = value_of(each)
            if offered and each[TOKEN] and may_run(each, due) then
                bear(each, value)
                say(at, "born")
            else
                local gate = gate_of(each, due)
                store_pending(each, value, due, gate)
                local queue = queues[each[2]]
                if queue and gate == "" and number_of(due) <= NOW then
                    queue.ahead = math.min(queue.ahead, tonumber(each[3]))
                end
            end
        end
    end
end
flush()
return answer
