-- What all scripts share; put in front of each when it is loaded.

-- The store's now, in microseconds since 1970 UTC. Below 2^53, so a number here loses nothing of it.
local function now()
    if ARGV[1] ~= "" then
        return tonumber(ARGV[1])
    end
    local time = redis.call("TIME")
    return time[1] * 1000000 + time[2]
end

-- Go on though the server is full: what a script may do is decided at its first write, and to take away is allowed. For
-- what keeps nodes alive and brings jobs to their end, so that a full store empties. Of the keys, a sorted set.
local function even_if_full(key)
    redis.call("ZREM", key, "")
end

-- Tell those who listen. Who may write and not publish has written nevertheless: all look for themselves, too.
local function tell(channel, hint)
    redis.pcall("PUBLISH", channel, hint)
end
