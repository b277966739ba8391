-- Subscriptions. Included by what changes them.
--
-- subscriptions, by name: msgpack of patterns, kind, ttl, cursor, created_at, seen_at. The ttl and the cursor are digits:
-- a number here has 53 bits.

-- Have what is asked for be what the subscriptions that are left ask for.
local function ask_anew(asked, subscriptions)
    local wanted = {}
    for _, value in ipairs(redis.call("HVALS", subscriptions)) do
        for _, pattern in ipairs(cmsgpack.unpack(value).patterns) do
            wanted[pattern] = true
        end
    end
    for _, pattern in ipairs(redis.call("HKEYS", asked)) do
        if not wanted[pattern] then
            redis.call("HDEL", asked, pattern)
        end
    end
    for pattern in pairs(wanted) do
        redis.call("HSET", asked, pattern, "")
    end
end

-- Return the names under which nobody subscribed for so long as they said.
local function forgotten(subscriptions, moment)
    local names = {}
    local all = redis.call("HGETALL", subscriptions)
    for at = 1, #all, 2 do
        local subscription = cmsgpack.unpack(all[at + 1])
        if subscription.seen_at <= moment - subscription.ttl then
            names[#names + 1] = all[at]
        end
    end
    return names
end
