-- Enter a subscription, or take one up. KEYS: those of logging, subscriptions, leases. ARGV: now, name, patterns and kind
-- (each msgpack), ttl, the number to stand behind (empty: where it stands, or at the end). Answers: now, the name of the
-- log, the number of its newest event, and the subscription.

-- include subscribing

local META, ASKED, SUBSCRIPTIONS, LEASES = KEYS[1], KEYS[2], KEYS[5], KEYS[6]

local at, name = now(), ARGV[2]
local last = redis.call("HGET", META, "last") or "0"
local value = redis.call("HGET", SUBSCRIPTIONS, name)
local before = value and cmsgpack.unpack(value) or { cursor = last, created_at = at }
value = cmsgpack.pack({
    patterns = cmsgpack.unpack(ARGV[3]), kind = cmsgpack.unpack(ARGV[4]), ttl = ARGV[5],
    cursor = ARGV[6] ~= "" and ARGV[6] or before.cursor, created_at = before.created_at, seen_at = at,
})
-- Whoever starts subscribes, and a full store needs those who empty it.
even_if_full(LEASES)
redis.call("HSET", SUBSCRIPTIONS, name, value)
ask_anew(ASKED, SUBSCRIPTIONS)
return { at, redis.call("HGET", META, "log") or "", tonumber(last), value }
