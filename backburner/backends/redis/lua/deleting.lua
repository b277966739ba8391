-- Deleting ended jobs. Included after tables and uniques.

local gone_ended, gone_jobs, gone_runs = buffer("ZREM", ENDED), buffer("HDEL", JOBS), buffer("HDEL", RUNS)
local gone_ids, gone_dead, gone_letters = buffer("ZREM", IDS), buffer("ZREM", DEAD), buffer("ZREM", LETTERS)

-- Let at most so many children of a job go; they count as nobody's from then on. Returns how many.
local function let_children_go(parent, most)
    local members = starting(CHILDREN, parent, most)
    for _, member in ipairs(members) do
        local id = sub(member, #parent + 2)
        local job = read_job(id)
        local rest = cmsgpack.unpack_one(job.value, job.parent_at)
        redis.call("HSET", JOBS, id, sub(job.value, 1, job.parent_at) .. NIL .. sub(job.value, rest + 1))
        redis.call("ZREM", CHILDREN, member)
        local run = read_run(job)
        if run.ended ~= NONE and run.state ~= "p" and run.state ~= "r" then
            redis.call("ZADD", ENDED, 0, run.state .. run.ended .. id)
        end
    end
    return #members
end

-- Tell that a letter is deleted.
local function tell_purged(job, run, reason)
    if events.wanted("job.purged") then
        events.of_job("job.purged", job, run.attempt, "reason", reason)
    end
end

-- Delete a job that has no children, by its member of `ended`; `job` if it has to do with others, or is a letter.
local function delete(id, job, member)
    one(gone_ended, member)
    one(gone_jobs, id)
    one(gone_runs, id)
    one(gone_ids, id)
    if byte(member) == 100 then
        one(gone_dead, id)
        one(gone_letters, job.queue .. "\0" .. id)
    end
    redis.call("ZREMRANGEBYLEX", HISTORY, "[" .. id .. "\0", "(" .. id .. "\1")
    if job then
        strike_key(job)
        if job.parent then
            redis.call("ZREM", CHILDREN, job.parent .. "\0" .. id)
        end
    end
end
