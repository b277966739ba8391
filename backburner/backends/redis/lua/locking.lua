-- Named leases. KEYS: locks, lapsing. Included by what touches them.
--
-- locks, by name: msgpack of {last token, holders}; a holder: {name, token, whether it shares, when it ends}.
-- lapsing: the names by the moment when they may be forgotten: all leases are over, and time alone makes greater tokens.

local LOCKS, LAPSING = KEYS[1], KEYS[2]
local NOW = now()

-- The last token of a name, and its live holders.
local function lock_of(name)
    local value = redis.call("HGET", LOCKS, name)
    local kept = value and cmsgpack.unpack(value) or { 0, {} }
    local live = {}
    for _, holder in ipairs(kept[2]) do
        if holder[4] > NOW then
            live[#live + 1] = holder
        end
    end
    return kept[1], live
end

local function keep_lock(name, last, holders)
    local over = last
    for _, holder in ipairs(holders) do
        over = math.max(over, holder[4])
    end
    if over < NOW then
        redis.call("HDEL", LOCKS, name)
        redis.call("ZREM", LAPSING, name)
    else
        redis.call("HSET", LOCKS, name, cmsgpack.pack({ last, holders }))
        redis.call("ZADD", LAPSING, over, name)
    end
end

-- The place of a holder among the live ones, under its token.
local function place_among(holders, name, token)
    for at, holder in ipairs(holders) do
        if holder[1] == name and holder[2] == token then
            return at
        end
    end
end
