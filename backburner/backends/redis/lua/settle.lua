-- Write how claims ended; then claim. ARGV: now, node, the request (empty: nothing is claimed), how many settlements,
-- those, and their follow-ups (see inserting). A settlement: id, token, state, result (empty: none), and more (empty:
-- no more): by the names of its fields, `history` for what the history keeps of what was raised, and `jobs` for the first
-- and the last of its follow-ups. Answers: now, stale ids, ids that became cancelled each followed by the reason, and
-- how many were let into the line and how many lanes opened, and the claim.
-- include tables
-- include uniques
-- include lanes
-- include inserting
-- include claiming
-- include telling

local node = ARGV[2]
local request = ARGV[3] ~= "" and cmsgpack.unpack(ARGV[3])
local FIRST, COUNT = 5, tonumber(ARGV[4])
local follow_ups = new_jobs(FIRST + 5 * COUNT, #ARGV)
if request and not alive(request.node) then
    return redis.error_reply("LEASELOST " .. request.node)
end
even_if_full(LINE)

local stale, cancelled, freed, is_freed, following = {}, {}, {}, {}, {}
local let_in, is_open = 0, {}
-- The runs as they are by now, by id.
local runs = {}
-- What stands behind the head of runs, decoded: it is mostly the same.
local tails = {}

local function tail_of(value)
    local text = sub(value, 53)
    local tail = tails[text]
    if not tail then
        local more = cmsgpack.unpack(text)
        local simple = true
        for name in pairs(more) do
            simple = simple and (name == "node" or name == "queue")
        end
        tail = { node = more.node, simple = simple, held = simple and held_as(more.node or "", more.queue or "", "") }
        -- What a run ends with that completes: a map of three, but for the result.
        tail.completed = NOW8 .. "\131" .. cmsgpack.pack("node") .. cmsgpack.pack(more.node) .. cmsgpack.pack("queue")
            .. cmsgpack.pack(more.queue) .. cmsgpack.pack("result")
        tails[text] = tail
    end
    return tail
end

local function keep(id, value)
    runs[id] = value
    two(set_run, id, value)
end

local function count_open(lane)
    if not is_open[lane] then
        is_open[lane] = true
        let_in = let_in + 1
    end
end

local function note(id, value, more)
    local run = run_of(value)
    run.more.progress = more.progress or run.more.progress
    run.more.checkpoint = more.checkpoint or run.more.checkpoint
    if more.lent ~= nil then
        local lent_before = run.lent == "l"
        run.lent = more.lent and "l" or "-"
        local held = held_as(node, run.more.queue, id)
        local job = run.linked == "l" and read_job(id) or {}
        if more.lent then
            redis.call("ZADD", LENT, 0, held)
            leave_lanes(job, count_open)
        elseif lent_before then
            redis.call("ZREM", LENT, held)
            enter_lanes(job)
        end
    end
    keep(id, run_value(run))
end

-- Keep what is left of an attempt that did not complete.
local function write_down(id, run, more)
    if more.error then
        run.more.error, run.more.message, run.more.fingerprint = more.error, more.message, more.fingerprint
    end
    local count = redis.call("ZLEXCOUNT", HISTORY, "[" .. id .. "\0", "(" .. id .. "\1")
    local started = run.started == NONE and NOW8 or run.started
    redis.call("ZADD", HISTORY, 0, id .. "\0" .. pack(">I4I4", count, run.attempt) .. started .. NOW8
        .. cmsgpack.pack({ run.more.lapsed or run.more.node or "", more.history }))
end

-- Remember that a key may have come free.
local function free(job)
    if job.key and not is_freed[job.key] then
        is_freed[job.key] = true
        freed[#freed + 1] = job.key
    end
end

local function apply(id, value, state, result, more)
    local job, run = read_job(id), run_of(value)
    local kept, attempt = run.more, run.attempt
    local held = held_as(node, kept.queue, id)
    one(left_held, held)
    if run.lent == "l" then
        redis.call("ZREM", LENT, held)
    end
    leave_lanes(job, count_open)
    kept.progress = more.progress or kept.progress
    kept.checkpoint = more.checkpoint or kept.checkpoint
    if more.history then
        write_down(id, run, more)
    end
    run.failures = run.failures + (more.failed or 0)
    run.crashes = run.crashes + (more.crashed or 0)
    run.interruptions = run.interruptions + (more.interrupted or 0)
    run.attempt = max(0, run.attempt - (more.unstarted and 1 or 0))
    local asked = kept.asked
    kept.cause, kept.lapsed, kept.asked, run.lent, run.asked = nil, nil, nil, "-", "-"
    run.state = state
    if state ~= "p" then
        kept.result, kept.reason = result, more.reason
    elseif asked then
        run.state, kept.reason = "x", asked
    end
    if run.state == "p" then
        kept.backoff = more.backoff or kept.backoff
        run.due = more.delay and instant(more.delay) or NOW8
        kept.gate = more.gate
        stand(job, more.gate or "", run.due, run.failures)
    else
        run.ended = NOW8
        two(to_ended, 0, run.state .. NOW8 .. id)
        if run.state == "d" then
            two(to_dead, 0, id)
            two(to_letters, 0, job.queue .. "\0" .. id)
        end
    end
    enter_key(job, run.state, more.gate or "")
    free(job)
    keep(id, run_value(run))
    events.of_end(node, job, attempt, run.state, kept.reason, more)
    for at = more.jobs and more.jobs[1] or 1, more.jobs and more.jobs[2] or 0 do
        following[#following + 1] = follow_ups[at]
    end
end

-- To complete a job that has to do with no other and says nothing but its result: no need to read it.
local function complete(id, value, tail, result)
    one(left_held, tail.held .. id)
    two(to_ended, 0, "c" .. NOW8 .. id)
    keep(id, "c---" .. sub(value, 5, 44) .. tail.completed .. cmsgpack.pack(result))
    if events.wanted("job.completed") then
        events.of_end(node, read_job(id), unpack_binary(">I4", value, 5), "c", nil, {})
    end
end

local function settle(id, token, state, result, more)
    local value = runs[id]
    local tail = value and sub(value, 21, 28) == token and tail_of(value)
    if not tail or tail.node ~= node then
        stale[#stale + 1] = id
        return
    end
    if byte(value) == 114 then
        if state == "r" then
            return note(id, value, more or {})
        end
        if state == "c" and not more and tail.simple and sub(value, 2, 4) == "---" then
            return complete(id, value, tail, result)
        end
        apply(id, value, state, result, more or {})
    elseif state ~= "r" and sub(value, 2, 2) == "l" then
        free(read_job(id))
    end
    if state == "p" and byte(runs[id]) == 120 then
        cancelled[#cancelled + 1] = id
        cancelled[#cancelled + 1] = run_of(runs[id]).more.reason or "cancelled"
    end
end

local function follow()
    local known, seen = known_of(following), {}
    for at, new in ipairs(following) do
        local id, key = new[1], new[LINKS] and new[LINKS][3]
        if not known[at] and not seen[id] then
            seen[id] = true
            local value, due = value_of(new)
            store_pending(new, value, due, key and holder_of(key) and UNIQUE .. key or gate_of(new, due))
        end
    end
    flush()
end

local ids = {}
for at = 1, COUNT do
    ids[at] = ARGV[FIRST + 5 * (at - 1)]
end
for at, value in ipairs(get_many("HMGET", RUNS, ids)) do
    runs[ids[at]] = value
end
for at = FIRST, FIRST + 5 * (COUNT - 1), 5 do
    local result, more = ARGV[at + 3], ARGV[at + 4]
    settle(ARGV[at], ARGV[at + 1], ARGV[at + 2], result ~= "" and result or nil, more ~= "" and cmsgpack.unpack(more) or nil)
end
flush()
-- Who waits for a key comes before the follow-up of the one that held it.
for _, key in ipairs(freed) do
    if let_through(key) then
        let_in = let_in + 1
    end
end
flush()
if #following > 0 then
    follow()
end
return { NOW8, stale, cancelled, let_in, request and claim(request) }
