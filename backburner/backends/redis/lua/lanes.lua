-- Lanes: what they allow, what is used of them, who stands there. Included after tables.
--
-- A limit's value is msgpack: declared and override (each as JSON), by, reason, rate (the last it had, as text), changes
-- (how often that became another). A meter's value, by lane, or by NUL and a queue; with another stamp it is none:
--   stamp (5 bytes: of a lane's rate a letter and the changes, of a queue's the begin of its text's SHA-1)
--   mark count previous (8 bytes each)

-- include rates

local to_inside, to_parked, left_parked = buffer("ZADD", INSIDE), buffer("ZADD", PARKED), buffer("ZREM", PARKED)
local set_meter, to_filling = buffer("HSET", METERS), buffer("ZADD", FILLING)

local UNUSED = { mark = NONE, count = 0, previous = 0 }
local limits, lanes = {}, {}

local function rate_of(sent, changes)
    if not sent then
        return sent
    end
    local algorithm, burst = sent.algorithm or "gcra", sent.burst or 1
    local text = string.format("%s %.0f %.0f %.0f", algorithm, sent.limit, sent.period, burst)
    return {
        limit = sent.limit, period = sent.period, algorithm = algorithm, burst = burst, text = text,
        stamp = changes and "r" .. pack(">I4", changes) or sub(redis.sha1hex(text), 1, 5),
    }
end

-- What a limit allows: slots, rate, deposit, each of which may be missing; and the text that says so.
local function limit_named(name)
    local limit = limits[name]
    if not limit then
        local value = redis.call("HGET", LIMITS, name)
        local kept = value and cmsgpack.unpack(value) or {}
        local text = kept.override or kept.declared or "{}"
        limit = cjson.decode(text)
        limit.text = text
        limit.rate = rate_of(limit.rate, kept.changes or 0)
        limits[name] = limit
    end
    return limit
end

local function limit_of(lane)
    return string.match(lane, "^[^/]*")
end

local function meter_of(name, rate)
    local value = redis.call("HGET", METERS, name)
    if not value or sub(value, 1, 5) ~= rate.stamp then
        return UNUSED
    end
    return { mark = sub(value, 6, 13), count = number_of(sub(value, 14, 21)), previous = number_of(sub(value, 22, 29)) }
end

local function running_in(name)
    return redis.call("ZLEXCOUNT", INSIDE, "[" .. name .. "\0", "(" .. name .. "\1")
end

-- A lane as this script sees it, what it takes itself included.
local function lane_named(name)
    local lane = lanes[name]
    if not lane then
        local limit = limit_named(limit_of(name))
        lane = {
            name = name, limit = limit, running = limit.slots and running_in(name),
            meter = limit.rate and meter_of(name, limit.rate),
        }
        lanes[name] = lane
    end
    return lane
end

-- How many more may run in a lane now.
local function room_in(lane)
    local limit = lane.limit
    local room = limit.slots and limit.slots - lane.running or math.huge
    return limit.rate and math.min(room, permits(limit.rate, lane.meter)) or room
end

-- Microseconds until a lane's rate has a permit.
local function rest_of(lane)
    return next_permit(lane.limit.rate, lane.meter)
end

local function stands_at(lane)
    return starting(PARKED, lane, 1)[1] ~= nil
end

local function open(lane)
    redis.call("ZADD", OPENING, NOW, lane)
end

-- What is used of a rate; it is written once, by `write_meters`.
local function meter(lane, used)
    lane.meter, lane.used = used, true
end

local function write_meters()
    for name, lane in pairs(lanes) do
        if lane.used then
            local rate, used = lane.limit.rate, lane.meter
            two(set_meter, name, rate.stamp .. used.mark .. pack(">I8I8", used.count, used.previous))
            two(to_filling, full_at(rate, used), name)
        end
    end
end

-- Let a run count no more against the slots of its job's lanes; tell of each that opens thereby.
local function leave_lanes(job, opens)
    for _, name in ipairs(job.lanes or {}) do
        if redis.call("ZREM", INSIDE, name .. "\0" .. job.id) == 1 and stands_at(name) then
            open(name)
            opens(name)
        end
    end
end

-- Let a run count, of which lanes that have slots now.
local function enter_lanes(job)
    for _, name in ipairs(job.lanes or {}) do
        if limit_named(limit_of(name)).slots then
            redis.call("ZADD", INSIDE, 0, name .. "\0" .. job.id)
        end
    end
end
