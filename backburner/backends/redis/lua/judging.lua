-- What lanes say of a job that is to be claimed. Included after lanes, by what claims.

-- Which of some kinds are paused, and when the first of these pauses ends by itself, if one does.
local function pauses_of(kinds)
    local names, pauses, ends = {}, {}, nil
    for kind in pairs(kinds) do
        names[#names + 1] = kind
    end
    for at, value in ipairs(get_many("HMGET", KINDS, names)) do
        local is_paused, till = paused(value and cmsgpack.unpack(value) or {})
        if is_paused then
            pauses[names[at]] = true
            ends = till and math.min(till, ends or till) or ends
        end
    end
    return pauses, ends
end

-- What an operator's rate leaves of a queue, in the form of a lane.
local function lane_of_queue(queue, rate)
    local name = "\0" .. queue
    local limit = { rate = rate_of(rate) }
    lanes[name] = { name = name, limit = limit, meter = meter_of(name, limit.rate) }
    return lanes[name]
end

-- Whether a rate asks a job at all: a budget asks those that have failed.
local function asks(limit, failures)
    return limit.rate and (not limit.deposit or failures > 0)
end

-- The first lane of a job that refuses it, if one does.
local function refused_by(job, failures)
    for _, name in ipairs(job.lanes) do
        local lane = lane_named(name)
        local limit = lane.limit
        if limit.slots and lane.running >= limit.slots then
            return lane
        end
        if asks(limit, failures) and permits(limit.rate, lane.meter) < 1 then
            return lane
        end
    end
end

-- Take what a job needs of its lanes.
local function enter(job, attempt, failures)
    for _, name in ipairs(job.lanes) do
        local lane = lane_named(name)
        local limit = lane.limit
        if limit.slots then
            lane.running = lane.running + 1
            two(to_inside, 0, name .. "\0" .. job.id)
        end
        if asks(limit, failures) then
            meter(lane, spent(limit.rate, lane.meter, 1))
        end
        if limit.rate and limit.deposit and attempt == 1 and ahead_of(lane.meter) > 0 then
            meter(lane, deposited(lane.meter, limit.deposit))
            redis.call("ZADD", OPENING, "XX", "LT", NOW + rest_of(lane), name)
        end
    end
end

-- Let a job take what it needs of its lanes, or return the first that refuses it.
local function enter_or_refuse(job, run_before)
    local attempt, failures = 0, 0
    if run_before then
        attempt, failures = unpack_binary(">I4I4", run_before, 5)
    end
    local lane = refused_by(job, failures)
    if not lane then
        enter(job, attempt + 1, failures)
    end
    return lane
end

-- Have a lane that refused a job opened by time, if it is a permit that is wanting; no later than it is already.
local function open_by_time(lane)
    local limit = lane.limit
    if not limit.rate or (limit.slots and lane.running >= limit.slots) then
        return
    end
    local opens = NOW + rest_of(lane)
    if opens < (lane.opens or math.huge) then
        lane.opens = opens
        redis.call("ZADD", OPENING, "LT", opens, lane.name)
    end
end

-- See to the lanes of a job that one of them refused, and that is parked there: those asked before it had room, which goes to
-- others who stand there.
local function leave_room(job, lane)
    open_by_time(lane)
    lane.stood = true
    for _, name in ipairs(job.lanes) do
        if name == lane.name then
            return
        end
        local before = lane_named(name)
        if before.stood == nil then
            before.stood = stands_at(name)
        end
        if before.stood and before.opens ~= NOW then
            before.opens = NOW
            open(name)
        end
    end
end

-- A gate's kind and the signatures that were tried, if it is one of misfits.
local function misfit_at(gate)
    return string.match(gate, "^misfit:(.*):([^:]*)$")
end
