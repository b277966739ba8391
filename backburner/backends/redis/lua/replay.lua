-- Bring dead letters back. See disposing.
-- include tables
-- include uniques
-- include disposing

local left_dead, left_letters, left_ended = buffer("ZREM", DEAD), buffer("ZREM", LETTERS), buffer("ZREM", ENDED)

-- A job's value that does not expire, with other arguments and another policy where those are given.
local function rewritten(value, args, retry)
    if byte(value, 20) ~= 192 and byte(value, 21) == 211 then
        value = sub(value, 1, 20) .. NIL .. sub(value, 30)
    end
    if not args and not retry then
        return value
    end
    -- The body has four items, or eight: kind, queue, priority, args, timeout, retry, tags, headers.
    local body = body_at(value)
    local args_at = cmsgpack.unpack_limit(value, 3, body + 1)
    local timeout, policy, rest = NIL, NIL, "\144" .. NIL
    local args_end = #value
    if byte(value, body + 1) == 152 then
        args_end = cmsgpack.unpack_one(value, args_at)
        local retry_at = cmsgpack.unpack_one(value, args_end)
        local rest_at = cmsgpack.unpack_one(value, retry_at)
        timeout, policy, rest = sub(value, args_end + 1, retry_at), sub(value, retry_at + 1, rest_at), sub(value, rest_at + 1)
    end
    return sub(value, 1, body) .. "\152" .. sub(value, body + 2, args_at)
        .. (args and cmsgpack.pack(args) or sub(value, args_at + 1, args_end))
        .. timeout .. (retry and cmsgpack.pack(retry) or policy) .. rest
end

-- Who holds the key that a job would hold that waits at a gate.
local function holder_beside(job, gate)
    if not job.key or gate == UNIQUE .. job.key then
        return nil
    end
    local holds = find(job.states, "p", 1, true) or (job.till and number_of(job.till) > NOW)
    return holds and holder_of(job.key, job.id) or nil
end

local function replay(id, token, letter)
    local run = dead_run(id, token)
    if not run then
        return ""
    end
    local gate = letter.gate or ""
    local before = read_job(id)
    local holder = holder_beside(before, gate)
    if holder then
        return holder
    end
    local job = job_of(id, rewritten(before.value, letter.args, letter.retry))
    one(left_dead, id)
    one(left_letters, job.queue .. "\0" .. id)
    one(left_ended, "d" .. run.ended .. id)
    run.state, run.lent, run.asked, run.failures, run.due, run.ended = "p", "-", "-", 0, NOW8, NONE
    local more = run.more
    more.gate, more.reason, more.result, more.backoff = letter.gate, nil, nil, nil
    two(set_job, id, job.value)
    two(set_run, id, run_value(run))
    stand(job, gate, NOW8, run.failures)
    if sub(gate, 1, 5) == LANE then
        redis.call("ZADD", OPENING, NOW, sub(gate, 6))
    end
    enter_key(job, "p", gate)
    if events.wanted("job.replayed") then
        events.of_job("job.replayed", job, run.attempt)
    end
end

only_with_room()
return dispose(replay)
