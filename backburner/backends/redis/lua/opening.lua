-- Letting in who stands at lanes that open. Included after lanes, by what claims.

-- Lanes that one claim opens, and jobs that it lets in: the server does nothing else meanwhile.
local MOST_OPENED, MOST_LET_IN = 100, 1000

-- Let some of a queue who stand at a lane into the line, the first ones; returns how many.
local function let_in_some(lane, queue, most)
    local prefix = lane .. "\0" .. queue .. "\0"
    local members = redis.call("ZRANGEBYLEX", PARKED, "[" .. prefix, "(" .. lane .. "\0" .. queue .. "\1", "LIMIT", 0, most)
    local ids = {}
    for at, member in ipairs(members) do
        ids[at] = sub(member, #prefix + 10)
    end
    for at, value in ipairs(get_many("HMGET", RUNS, ids)) do
        local run = run_of(value)
        run.more.gate = nil
        one(left_parked, members[at])
        two(to_line, 0, queue .. "\0\0" .. sub(members[at], #prefix + 1))
        if run.failures > 0 then
            two(to_retrying, 0, retrying_as(queue, sub(members[at], #prefix + 2)))
        end
        two(set_run, ids[at], run_value(run))
    end
    return #members
end

-- Open a lane: let in as many of each queue as there is room for, at most so many in all. Returns how many those are.
local function open_lane(name, most)
    local lane = lane_named(name)
    local room = room_in(lane)
    local let_in, from = 0, "[" .. name .. "\0"
    while room > 0 and let_in < most do
        local first = redis.call("ZRANGEBYLEX", PARKED, from, "(" .. name .. "\1", "LIMIT", 0, 1)[1]
        if not first then
            break
        end
        local queue = sub(first, #name + 2, find(first, "\0", #name + 2, true) - 1)
        let_in = let_in + let_in_some(name, queue, math.min(room, most - let_in))
        from = "[" .. name .. "\0" .. queue .. "\1"
    end
    flush()
    local rate = lane.limit.rate
    local opens
    if stands_at(name) then
        if room > 0 and let_in >= most then
            opens = NOW
        elseif rate and room == permits(rate, lane.meter) then
            -- It is the rate that they are short of: those let in are to take what is left of it.
            opens = NOW + next_permit(rate, spent(rate, lane.meter, room))
        end
    end
    if opens then
        redis.call("ZADD", OPENING, opens, name)
    else
        redis.call("ZREM", OPENING, name)
    end
    return let_in
end

-- Open lanes whose moment has come; returns when the first opens that was not among them, if one does.
local function open_lanes()
    local found = redis.call("ZRANGEBYSCORE", OPENING, "-inf", "+inf", "WITHSCORES", "LIMIT", 0, MOST_OPENED)
    local left = MOST_LET_IN
    for at = 1, #found, 2 do
        local opens = tonumber(found[at + 1])
        if opens > NOW or left <= 0 then
            return opens
        end
        left = left - open_lane(found[at], left)
    end
end

-- When the first lane opens by time, if one does.
local function next_opening()
    local first = redis.call("ZRANGEBYSCORE", OPENING, "-inf", "+inf", "WITHSCORES", "LIMIT", 0, 1)
    return first[2] and tonumber(first[2])
end
