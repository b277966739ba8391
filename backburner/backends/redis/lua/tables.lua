-- Where jobs are kept, and in which form. Included by every script that touches one.
--
-- KEYS: those of logging, and those named below.
--
-- Hashes by id: jobs, what was handed in; runs, what changes. By name: nodes, their records; queues, their settings; kinds,
-- those that are paused; limits and meters (see lanes).
-- Sorted sets, by score: leases (node, when its lease ends), expiring (id of one that waits, its expiry), opening (lane
-- where jobs stand, when it opens), filling (whose meter, when that is full again). All others in byte order; in place of
-- spaces stand NULs, and nothing stands between what is written together:
--   line      queue gate priority+due_at+id    who waits, but as below; in the order of claims at each gate
--   retrying  queue due_at+id                  who waits at no gate, and has failed before
--   waiting   key priority+due_at+id           who waits for a unique key, over all queues
--   parked    lane queue priority+due_at+id    who stands at a lane
--   inside    lane id                          who runs and counts against a lane's slots
--   holding   key id                           who holds a key by its state
--   keeping   key until+id                     who holds a key by its period, which may be over
--   held      node queue id                    who runs; lent: those of them whose slot is lent
--   ended     state+ended_at+id                who ended, but for children that are kept for their parents
--   dead      id                               who is a dead letter
--   letters   queue id                         the same, but for those of a backburner that had no such key
--   children  parent id                        whose record names that parent, stored or not
--   ids       id                               every job
--   history   id count+attempt+started_at+ended_at+[node, [ending, error, message, traceback, fingerprint]]
--
-- A job's value is msgpack all through; what stands before its body is of known length, so that no arguments are decoded:
--   [created_at, due_at, links, [kind, queue, priority, args, ...]]        the body is written by sending.py, never here
--   links: nil, or [expires_at, unique_until, unique_key, unique_states, parent, lanes]
-- A run's value, absent for a job that waits in the line since it was stored:
--   state linked lent asked (a letter each), attempt failures crashes interruptions (4 bytes each),
--   token due_at started_at ended_at (8 bytes each, 0 is none), and a msgpack map of what is there beside:
--   node queue gate asked cause lapsed backoff reason error message fingerprint progress checkpoint result
-- Numbers of 64 bits stand as 8 bytes, big-endian: a number here has 53. States: p r c x d.

local JOBS, RUNS, LINE, WAITING, HOLDING, KEEPING, HELD, LENT, EXPIRING, ENDED, CHILDREN, IDS, HISTORY, NODES, LEASES, QUEUES,
    KINDS, PARKED, INSIDE, DEAD, LIMITS, METERS, FILLING, OPENING, RETRYING, LETTERS = unpack(KEYS, 5)

local byte, sub, find, floor = string.byte, string.sub, string.find, math.floor
local pack, unpack_binary = struct.pack, struct.unpack

local NIL = "\192"
local NONE = "\0\0\0\0\0\0\0\0"
local EMPTY = "\128"
local UNIQUE, LANE = "unique:", "lane:"

local NOW = now()
local NOW8 = pack(">I8", NOW)

-- include numbers
-- include logging
-- include writing

-- ---- jobs and runs ----------------------------------------------------------------------------------------------

-- Where the body of a job's value begins, counted from 0.
local function body_at(value)
    if byte(value, 20) == 192 then
        return 20
    end
    local at = byte(value, 21) == 211 and 29 or 21
    at = byte(value, at + 1) == 211 and at + 9 or at + 1
    return (cmsgpack.unpack_limit(value, 4, at))
end

local function kind_of(value)
    local _, kind = cmsgpack.unpack_one(value, body_at(value) + 1)
    return kind
end

-- What scripts want to know of a job beside its kind.
local function job_of(id, value)
    local job = { id = id, value = value, created = sub(value, 3, 10), due = sub(value, 12, 19), states = "" }
    local at = 20
    if byte(value, 20) ~= 192 then
        if byte(value, 21) == 211 then
            job.expires = sub(value, 22, 29)
            at = 29
        else
            at = 21
        end
        if byte(value, at + 1) == 211 then
            job.till = sub(value, at + 2, at + 9)
            at = at + 9
        else
            at = at + 1
        end
        at, job.key = cmsgpack.unpack_one(value, at)
        at, job.states = cmsgpack.unpack_one(value, at)
        job.parent_at = at
        at, job.parent, job.lanes = cmsgpack.unpack_limit(value, 2, at)
        job.linked = true
    end
    at, job.kind, job.queue, job.priority = cmsgpack.unpack_limit(value, 3, at + 1)
    return job
end

local function read_job(id)
    local value = redis.call("HGET", JOBS, id)
    return value and job_of(id, value)
end

-- The run of a job that never ran, and waits in the line.
local function fresh(job)
    return {
        state = "p", linked = job.linked and "l" or "-", lent = "-", asked = "-",
        attempt = 0, failures = 0, crashes = 0, interruptions = 0,
        token = NONE, due = job.due, started = NONE, ended = NONE, more = {},
    }
end

local function run_of(value)
    local run = {}
    run.state, run.linked, run.lent, run.asked, run.attempt, run.failures, run.crashes, run.interruptions,
        run.token, run.due, run.started, run.ended = unpack_binary(">c1c1c1c1I4I4I4I4c8c8c8c8", value)
    run.more = cmsgpack.unpack(sub(value, 53))
    return run
end

local function run_value(run)
    return pack(
        ">c1c1c1c1I4I4I4I4", run.state, run.linked, run.lent, run.asked,
        run.attempt, run.failures, run.crashes, run.interruptions
    ) .. run.token .. run.due .. run.started .. run.ended .. (next(run.more) and cmsgpack.pack(run.more) or EMPTY)
end

local function read_run(job)
    local value = redis.call("HGET", RUNS, job.id)
    return value and run_of(value) or fresh(job)
end

-- ---- moves ------------------------------------------------------------------------------------------------------

-- Where a pending job stands: which sorted set, and as which member.
local function place_of(job, gate, due)
    -- Before 1970 is not before, but after everything.
    local stand = job.priority .. (byte(due) >= 128 and NONE or due) .. job.id
    if sub(gate, 1, 7) == UNIQUE then
        return WAITING, sub(gate, 8) .. "\0" .. stand
    end
    if sub(gate, 1, 5) == LANE then
        return PARKED, sub(gate, 6) .. "\0" .. job.queue .. "\0" .. stand
    end
    return LINE, job.queue .. "\0" .. gate .. "\0" .. stand
end

-- A member of `retrying`, by what stands behind the priority in that of the line.
local function retrying_as(queue, rest)
    return queue .. "\0" .. rest
end

local function stand(job, gate, due, failures)
    local key, member = place_of(job, gate, due)
    if key == LINE then
        two(to_line, 0, member)
        if failures > 0 and gate == "" then
            two(to_retrying, 0, retrying_as(job.queue, sub(member, #job.queue + 4)))
        end
    else
        redis.call("ZADD", key, 0, member)
    end
    if job.expires then
        two(to_expiring, number_of(job.expires), job.id)
    end
end

local function leave(job, gate, due, failures)
    local key, member = place_of(job, gate, due)
    if key == LINE then
        one(left_line, member)
        if failures > 0 and gate == "" then
            one(left_retrying, retrying_as(job.queue, sub(member, #job.queue + 4)))
        end
    else
        redis.call("ZREM", key, member)
        if key == PARKED and not starting(PARKED, sub(gate, 6), 1)[1] then
            redis.call("ZREM", OPENING, sub(gate, 6))
        end
    end
    if job.expires then
        one(left_expiring, job.id)
    end
end

local function held_as(node, queue, id)
    return node .. "\0" .. queue .. "\0" .. id
end

local function alive(node)
    local lease = redis.call("ZSCORE", LEASES, node)
    return lease and tonumber(lease) > NOW
end

-- Whether something is paused by what an operator set, and when that ends (nil: not by itself).
local function paused(settings)
    local till = settings.paused_until and tonumber(settings.paused_until)
    return settings.paused and (not till or till > NOW), till
end

-- What an operator set for a queue: paused, paused_until, slots, rate; each may be missing.
local function settings_of(queue)
    local value = redis.call("HGET", QUEUES, queue)
    return value and cmsgpack.unpack(value) or {}
end

-- How many runs of a queue a node has whose slots are not lent.
local function runs_of(node, queue)
    local prefix = node .. "\0" .. queue
    local first, last = "[" .. prefix .. "\0", "(" .. prefix .. "\1"
    return redis.call("ZLEXCOUNT", HELD, first, last) - redis.call("ZLEXCOUNT", LENT, first, last)
end
