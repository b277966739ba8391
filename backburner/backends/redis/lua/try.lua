-- Try what scripts do, to no effect: if a right were missing, or a key were another's, one would end in its middle, and
-- nothing is undone; and give the log a name, if it has none. KEYS: all there are. ARGV: now, a name that nobody has.
-- include tables

local META, ASKED, EVENTS, ONCE = unpack(KEYS)
local CELLS, LOCKS, LAPSING, OPERATIONS, ACTING, ACTED, SCHEDULES, NAMED, COMING, TICKS, LEDGER, LINES, AGING, SUBSCRIPTIONS =
    unpack(KEYS, 31)

even_if_full(LINE)
for _, key in ipairs({
    JOBS, RUNS, NODES, QUEUES, KINDS, LIMITS, METERS, CELLS, LOCKS, OPERATIONS, SCHEDULES, TICKS, META,
    ASKED, EVENTS, ONCE, SUBSCRIPTIONS,
}) do
    redis.call("HGET", key, "")
    redis.call("HMGET", key, "")
    redis.call("HEXISTS", key, "")
    redis.call("HDEL", key, "")
end
for _, key in ipairs({
    LINE, WAITING, HOLDING, KEEPING, HELD, LENT, EXPIRING, ENDED, CHILDREN, IDS, HISTORY, LEASES, PARKED, INSIDE, DEAD,
    FILLING, OPENING, LAPSING, ACTING, ACTED, NAMED, COMING, LEDGER, LINES, AGING, RETRYING,
    LETTERS,
}) do
    redis.call("ZADD", key, "XX", 0, "")
    redis.call("ZREM", key, "")
    redis.call("ZSCORE", key, "")
    redis.call("ZMSCORE", key, "")
    redis.call("ZLEXCOUNT", key, "-", "(")
    redis.call("ZRANGEBYLEX", key, "-", "(")
    redis.call("ZRANGEBYSCORE", key, "-inf", "(-inf")
    redis.call("ZREMRANGEBYLEX", key, "-", "(")
end
redis.call("HSET", META, "format", redis.call("HGET", META, "format"))
redis.call("HINCRBY", META, "last", 0)
redis.call("EXISTS", ASKED)
redis.call("HKEYS", ASKED)
redis.call("HVALS", SUBSCRIPTIONS)
redis.call("HGETALL", SUBSCRIPTIONS)
if not redis.call("HGET", META, "log") then
    redis.call("HSET", META, "log", ARGV[2])
end
