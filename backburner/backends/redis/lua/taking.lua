-- Handing out one due job, or putting it elsewhere, on the way of a claim. Included after judging.

local FRESH_TOKEN = next_token(NONE)
-- What a run begins with that is the first of its job, behind its state and whether that is linked.
local FIRST_RUN = "--\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0" .. FRESH_TOKEN
-- A due job on its way through a claim; there are many, and a list is cheaper than names.
local ID, PRIORITY, AT, MEMBER, SOURCE, VALUE, RUN = 1, 2, 3, 4, 5, 6, 7

-- What a node may take of a queue; nothing where it runs as many as an operator allows.
local function room_of(node, queue, slots, settings)
    local most = settings.slots
    local free = most and math.min(slots, most - runs_of(node, queue)) or slots
    if free <= 0 then
        return nil
    end
    local lane = settings.rate and lane_of_queue(queue, settings.rate)
    local allowed = lane and permits(lane.limit.rate, lane.meter) or free
    return {
        queue = queue, free = math.min(free, allowed), capped = free < slots and free <= allowed, lane = lane, took = 0,
        held = held_as(node, queue, ""), last = NOW8 .. NONE .. cmsgpack.pack({ node = node, queue = queue }),
    }
end

-- Take from the rates of queues what was handed out.
local function spend_rates(rooms)
    for _, room in ipairs(rooms) do
        if room.lane and room.took > 0 then
            meter(room.lane, spent(room.lane.limit.rate, room.lane.meter, room.took))
        end
    end
end

local function earlier(one, other)
    if one[PRIORITY] ~= other[PRIORITY] then
        return one[PRIORITY] < other[PRIORITY]
    end
    if one[AT] ~= other[AT] then
        return one[AT] < other[AT]
    end
    return before(one[ID], other[ID])
end

-- Of a job that may have failed before: it stands in the line no more.
local function leave_retrying(chosen)
    local source = chosen[SOURCE]
    if source.gate == "" then
        one(left_retrying, retrying_as(source.room.queue, sub(chosen[MEMBER], #source.prefix + 2)))
    end
end

-- Hand out a job; `job` is what it has to do with others, if anything.
local function take(chosen, job, value, run_before, node)
    local id, room = chosen[ID], chosen[SOURCE].room
    room.took = room.took + 1
    one(left_line, chosen[MEMBER])
    two(to_held, 0, room.held .. id)
    chosen[VALUE] = value
    local attempt = 1
    if run_before then
        local run = run_of(run_before)
        run.state, run.attempt, run.token, run.started = "r", run.attempt + 1, next_token(run.token), NOW8
        run.more.gate, run.more.node, run.more.queue = nil, node, room.queue
        attempt = run.attempt
        chosen[RUN] = run_value(run)
        two(set_run, id, chosen[RUN])
        leave_retrying(chosen)
    else
        two(set_run, id, (job and "rl" or "r-") .. FIRST_RUN .. sub(value, 12, 19) .. room.last)
    end
    if job then
        if job.expires then
            one(left_expiring, id)
        end
        enter_key(job, "r", "")
    end
    if events.wanted("job.claimed") then
        events.of_job("job.claimed", job or job_of(id, value), attempt, "node", node)
    end
end

-- Take a job out of the line, or from its gate, to another gate.
local function put_at(chosen, job, gate, run_before)
    local run = run_before and run_of(run_before) or fresh(job)
    run.more.gate = gate
    one(left_line, chosen[MEMBER])
    if run_before then
        leave_retrying(chosen)
    end
    local key, member = place_of(job, gate, run.due)
    two(key == LINE and to_line or to_parked, 0, member)
    two(set_run, job.id, run_value(run))
end
