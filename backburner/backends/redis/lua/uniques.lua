-- Unique keys: who holds each, who waits at its gate. Included after tables.

-- Enter who holds its key by its state, and by its period; a job at the key's own gate does neither.
local function enter_key(job, state, gate)
    local key = job.key
    if not key then
        return
    end
    local waits = gate == UNIQUE .. key
    if not waits and find(job.states, state, 1, true) then
        redis.call("ZADD", HOLDING, 0, key .. "\0" .. job.id)
    else
        redis.call("ZREM", HOLDING, key .. "\0" .. job.id)
    end
    if job.till then
        local member = key .. "\0" .. job.till .. job.id
        if waits or number_of(job.till) <= NOW then
            redis.call("ZREM", KEEPING, member)
        else
            redis.call("ZADD", KEEPING, 0, member)
        end
    end
end

-- Strike a job that is deleted.
local function strike_key(job)
    if job.key then
        redis.call("ZREM", HOLDING, job.key .. "\0" .. job.id)
        if job.till then
            redis.call("ZREM", KEEPING, job.key .. "\0" .. job.till .. job.id)
        end
    end
end

-- Who holds a key, the first id where several do; one job, if given, does not count.
local function holder_of(key, beside)
    local holder
    for _, member in ipairs(starting(HOLDING, key, 2)) do
        local id = sub(member, #key + 2)
        if id ~= beside then
            holder = id
            break
        end
    end
    -- Those whose period is over stay until they are deleted, and are not looked at.
    for _, member in ipairs(starting(KEEPING, key, MOST, "[" .. key .. "\0" .. sum(1, NOW8))) do
        local id = sub(member, #key + 10)
        if id ~= beside and (not holder or before(id, holder)) then
            holder = id
        end
    end
    return holder
end

-- Let the first that waits for a key into the line, if the key is free; tell whether one was.
local function let_through(key)
    local first = starting(WAITING, key, 1)[1]
    if not first or holder_of(key) then
        return false
    end
    local job = read_job(sub(first, #key + 11))
    local run = read_run(job)
    redis.call("ZREM", WAITING, first)
    run.more.gate = nil
    redis.call("HSET", RUNS, job.id, run_value(run))
    stand(job, "", run.due, run.failures)
    enter_key(job, "p", "")
    return true
end
