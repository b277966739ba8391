-- Store jobs. ARGV: now, the node that offers to run some (empty: none), jobs (see inserting).
-- Answers: now, and of those that were not just stored: their places among the jobs from 0, and after each "born",
-- "duplicate", or the id of who holds its key behind "=".
-- include tables
-- include uniques
-- include lanes
-- include inserting
-- include taking_in

local node = ARGV[2]
local new = new_jobs(3, #ARGV)
local offered = node ~= "" and alive(node)
local answer = { NOW8 }
local known = known_of(new)
-- Of each queue with a job on offer: the first priority that somebody waits at, and an operator's room.
local queues = {}
-- Of each kind of a job on offer, whether it is paused.
local pauses = {}

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
    local kind = kind_sent(each)
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
    tell_enqueued(each)
    if events.wanted("job.claimed") then
        events.of_job("job.claimed", job, 1, "node", node)
    end
end

-- Store a new job running, if it may be.
local function offer(each, value, due)
    if not each[TOKEN] or not may_run(each, due) then
        return false
    end
    bear(each, value)
    return true
end

-- Whether a job was born of this very offer before.
local function born_before(each)
    flush()
    local value = redis.call("HGET", RUNS, each[1])
    local run = value and run_of(value)
    return run and run.state == "r" and run.more.node == node and run.token == each[TOKEN]
end

need_room(known)
for at, each in ipairs(new) do
    local said, gate, due
    if each[TOKEN] and (known[at] or taken_in[each[1]]) and born_before(each) then
        said = "born"
    else
        said, gate, due = take_in(each, known[at], offered and offer)
    end
    if said then
        answer[#answer + 1] = at - 1
        answer[#answer + 1] = said
    elseif gate == "" and number_of(due) <= NOW then
        local queue = queues[each[2]]
        if queue then
            queue.ahead = math.min(queue.ahead, tonumber(each[3]))
        end
    end
end
flush()
return answer
