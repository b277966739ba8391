-- Hand over jobs that nobody settles: claims of dead nodes, then expired jobs. ARGV: now, node, limit.
-- Answers: now, then of each its id, job, run, gate.
-- include tables
-- include uniques

local node, limit = ARGV[2], tonumber(ARGV[3])
local answer = { NOW8 }
local count = 0
-- Keys that may have come free: a job waited for it, or held it only while it was pending, or for a time that has passed.
local keys, known = {}, {}

local function hand_over(job, run, gate)
    run.state, run.token, run.more.node, run.more.queue = "r", next_token(run.token), node, job.queue
    local value = run_value(run)
    redis.call("HSET", RUNS, job.id, value)
    redis.call("ZADD", HELD, 0, held_as(node, job.queue, job.id))
    local last = #answer
    answer[last + 1], answer[last + 2], answer[last + 3], answer[last + 4] = job.id, job.value, value, gate
    count = count + 1
    if job.key and not known[job.key] then
        known[job.key] = true
        keys[#keys + 1] = job.key
    end
end

local function take_over(member)
    local queue_at = find(member, "\0", 1, true) + 1
    local job = read_job(sub(member, find(member, "\0", queue_at, true) + 1))
    local run = read_run(job)
    redis.call("ZREM", HELD, member)
    redis.call("ZREM", LENT, member)
    -- One handed over before keeps the cause and the node of the first time.
    if not run.more.cause then
        run.more.cause, run.more.lapsed = "lapsed", run.more.node
    end
    run.lent = "-"
    hand_over(job, run, "")
end

-- Tell that a node is lost, when the first of its claims are handed over; that this has begun is kept as its lease.
local function tell_lost(lost)
    local record = redis.call("HGET", NODES, lost)
    if not record or redis.call("ZSCORE", LEASES, lost) == "-1" then
        return
    end
    redis.call("ZADD", LEASES, -1, lost)
    if events.wanted("node.lost") then
        events.add("node.lost", lost, '{"host":' .. cjson.encode(cmsgpack.unpack(sub(record, 2)).host) .. "}")
    end
end

local function take_lapsed()
    -- All are found before any is taken: whoever asks may be dead himself, and what he is handed is not to be taken again.
    local members, from = {}, "-"
    repeat
        local first = redis.call("ZRANGEBYLEX", HELD, from, "+", "LIMIT", 0, 1)[1]
        local holder = first and sub(first, 1, find(first, "\0", 1, true) - 1)
        if first and not alive(holder) then
            for at, member in ipairs(starting(HELD, holder, limit - #members)) do
                members[#members + 1] = member
                if at == 1 then
                    tell_lost(holder)
                end
            end
        end
        from = first and "[" .. holder .. "\1"
    until not first or #members >= limit
    for _, member in ipairs(members) do
        take_over(member)
    end
end

-- Strike dead nodes that hold nothing any more.
local function strike()
    for _, dead in ipairs(redis.call("ZRANGEBYSCORE", LEASES, "-inf", NOW, "LIMIT", 0, 1000)) do
        if not starting(HELD, dead, 1)[1] then
            redis.call("ZREM", LEASES, dead)
            redis.call("HDEL", NODES, dead)
        end
    end
end

local function take_expired()
    local ids = count < limit and redis.call("ZRANGEBYSCORE", EXPIRING, "-inf", NOW, "LIMIT", 0, limit - count) or {}
    for _, id in ipairs(ids) do
        local job = read_job(id)
        local run = read_run(job)
        local gate = run.more.gate or ""
        leave(job, gate, run.due, run.failures)
        flush()
        run.more.gate, run.more.cause = nil, "expired"
        hand_over(job, run, gate)
        enter_key(job, "r", "")
    end
end

even_if_full(LINE)
take_lapsed()
strike()
take_expired()
for _, key in ipairs(keys) do
    let_through(key)
end
flush()
return answer
