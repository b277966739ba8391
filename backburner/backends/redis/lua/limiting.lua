-- Limits that change. Included after lanes.

-- Lanes of a limit that one script opens.
local MOST_LANES = 1000
local changed = false

local function what_holds(kept)
    return kept.override or kept.declared or "{}"
end

-- Open the lanes of a limit where jobs stand, from the one behind `behind` on (empty: from the first); returns the last that
-- was opened if there may be more, else nothing.
local function open_behind(limit, behind)
    if behind == "" then
        if stands_at(limit) then
            open(limit)
        end
        behind = limit .. "/"
    else
        behind = behind .. "\1"
    end
    local lane
    for _ = 1, MOST_LANES do
        local first = redis.call("ZRANGEBYLEX", PARKED, "[" .. behind, "(" .. limit .. "0", "LIMIT", 0, 1)[1]
        if not first then
            return nil
        end
        lane = sub(first, 1, find(first, "\0", 1, true) - 1)
        open(lane)
        behind = lane .. "\1"
    end
    return lane
end

-- Change what is kept of a limit by a function, and open its lanes if another holds now. Returns as `open_behind` does.
local function change(name, how)
    local value = redis.call("HGET", LIMITS, name)
    local kept = value and cmsgpack.unpack(value) or {}
    local before = what_holds(kept)
    how(kept)
    changed = true
    local holds = what_holds(kept)
    local rate = rate_of(cjson.decode(holds).rate)
    if rate and kept.rate and rate.text ~= kept.rate then
        kept.changes = (kept.changes or 0) + 1
    end
    kept.rate = rate and rate.text or kept.rate
    -- One that is gone may come back: what was used of another rate must not count then.
    if kept.declared or kept.override or kept.rate then
        redis.call("HSET", LIMITS, name, cmsgpack.pack(kept))
    else
        redis.call("HDEL", LIMITS, name)
    end
    return holds ~= before and open_behind(name, "") or nil
end

-- Write what code declares; one that is declared as it was is not written.
local function declare(name, limit)
    local value = redis.call("HGET", LIMITS, name)
    if value and cmsgpack.unpack(value).declared == limit then
        return nil
    end
    return change(name, function(kept) kept.declared = limit end)
end
