-- Jobs on their way in. Included after tables, uniques and lanes.

-- A new job comes as five arguments: id, queue, priority, body, and the rest, empty or [gate, due, links, token]; links:
-- [expires, unique_until, unique_key, unique_states, parent, lanes]. What is not there is nil.
local GATE, DUE, LINKS, TOKEN = 5, 6, 7, 8

-- The new jobs from an argument on, as one list of all of that each.
local function new_jobs(from, last)
    local new = {}
    for at = from, last, 5 do
        local each = { ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3] }
        if ARGV[at + 4] ~= "" then
            local rest = cmsgpack.unpack(ARGV[at + 4])
            each[GATE], each[DUE], each[LINKS] = rest[1] ~= "" and rest[1] or nil, rest[2], rest[3]
            each[TOKEN] = rest[4] and eight(rest[4])
        end
        new[#new + 1] = each
    end
    return new
end

local DUE_NOW = "\148\211" .. NOW8 .. "\211" .. NOW8 .. NIL

local function or_nil(eight)
    return eight and "\211" .. eight or NIL
end

-- A new job's value, and when it is due.
local function value_of(new)
    local sent, links = new[DUE], new[LINKS]
    if not sent and not links then
        return DUE_NOW .. new[4], NOW8
    end
    local due = NOW8
    if sent then
        due = instant(sent)
        if number_of(due) < NOW then
            due = NOW8
        end
    end
    local linked = NIL
    if links then
        linked = "\150" .. or_nil(links[1] and instant(links[1])) .. or_nil(links[2] and instant(links[2]))
            .. cmsgpack.pack(links[3]) .. cmsgpack.pack(links[4] or "") .. cmsgpack.pack(links[5])
            .. cmsgpack.pack(links[6])
    end
    return "\148\211" .. NOW8 .. "\211" .. due .. linked .. new[4], due
end

-- The kind of a new job.
local function kind_sent(new)
    local _, kind = cmsgpack.unpack_limit(new[4], 1, 1)
    return kind
end

-- Tell of a new job that it is stored.
local function tell_enqueued(new)
    if events.wanted("job.enqueued") then
        events.of_job("job.enqueued", { id = new[1], kind = kind_sent(new), queue = new[2] }, 0)
    end
end

-- Enter a child; a parent that was lifted, since it had ended and was kept for its own, has a child to let go now.
local function enter_child(job)
    two(to_children, 0, job.parent .. "\0" .. job.id)
    local value = redis.call("HGET", RUNS, job.parent)
    if value and find("cxd", sub(value, 1, 1), 1, true) then
        two(to_ended, 0, sub(value, 1, 1) .. sub(value, 45, 52) .. job.parent)
    end
end

-- The gate of a new job: its own, else that of the first of its lanes where others stand, if it is due now. A budget's is
-- not among them: it refuses no first attempt, and lives on those.
local function gate_of(new, due)
    local lanes = new[LINKS] and new[LINKS][6]
    if new[GATE] or not lanes or number_of(due) > NOW then
        return new[GATE] or ""
    end
    for _, lane in ipairs(lanes) do
        if starting(PARKED, lane, 1)[1] and not limit_named(limit_of(lane)).deposit then
            return LANE .. lane
        end
    end
    return ""
end

-- Store a job pending, by its value; `run` if it has been more than that.
local function store_pending(new, value, due, gate, run)
    local id = new[1]
    two(set_job, id, value)
    two(to_ids, 0, id)
    tell_enqueued(new)
    if not new[LINKS] then
        if gate == "" and not run then
            two(to_line, 0, new[2] .. "\0\0" .. new[3] .. due .. id)
            return
        end
    end
    local job = job_of(id, value)
    if gate ~= "" or run then
        run = run or fresh(job)
        run.more.gate = gate ~= "" and gate or nil
        two(set_run, id, run_value(run))
    end
    stand(job, gate, due, 0)
    if job.parent then
        enter_child(job)
    end
    enter_key(job, "p", gate)
end

-- Which of these jobs are stored, in their order: false for those that are not.
local function known_of(new)
    local ids = {}
    for at, each in ipairs(new) do
        ids[at] = each[1]
    end
    return get_many("ZMSCORE", IDS, ids)
end

-- To be called before anything is written: ends here if one of them is not known, and the server is full.
local function need_room(known)
    for _, score in ipairs(known) do
        if not score then
            return only_with_room()
        end
    end
end
