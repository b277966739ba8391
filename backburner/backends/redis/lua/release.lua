-- Let the first through at each gate whose key has come free otherwise, and open lanes that have room for those who stand
-- there. ARGV: now, limit, the key and the lane to go on behind (empty: from the first one). Answers: how many were let
-- through and opened, and the key and the lane to go on behind.
-- include tables
-- include uniques
-- include lanes

local limit = tonumber(ARGV[2])
-- Gates looked at by one call.
local WINDOW = 1000
local released = 0

-- Go through the gates of a sorted set, all of them once at most, from behind one on; returns where to go on, empty at the end.
local function go_through(key, after, most, see_to)
    local looked = 0
    -- From behind one up to another (empty: to the end).
    local function pass(behind, last)
        local from = behind == "" and "-" or "[" .. behind .. "\1"
        while released < limit and looked < most do
            local first = redis.call("ZRANGEBYLEX", key, from, last == "" and "+" or "[" .. last .. "\1", "LIMIT", 0, 1)[1]
            if not first then
                return ""
            end
            behind = sub(first, 1, find(first, "\0", 1, true) - 1)
            looked = looked + 1
            released = released + (see_to(behind) and 1 or 0)
            from = "[" .. behind .. "\1"
        end
        return behind
    end
    local on = pass(after, "")
    if on == "" and after ~= "" then
        on = pass("", after)
    end
    return on
end

local function open_if_room(lane)
    local opens = redis.call("ZSCORE", OPENING, lane)
    if room_in(lane_named(lane)) <= 0 or (opens and tonumber(opens) <= NOW) then
        return false
    end
    open(lane)
    return true
end

even_if_full(LINE)
local key = go_through(WAITING, ARGV[3], WINDOW, let_through)
flush()
local lane = go_through(PARKED, ARGV[4], math.min(limit, WINDOW), open_if_room)
return { released, key, lane }
