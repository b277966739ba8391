-- Delete ended jobs, lines of ledgers, events and subscriptions, whose time has passed. ARGV: now, limit, and for how many
-- microseconds the completed, the cancelled, the dead, lines and events are kept (empty: for ever). Answers: how many rows
-- changed, and 1 if it is to be called again since it stopped short of the limit: what is passed over changes no row, but
-- takes its time. KEYS: those of tables, of locking, ticks, ledger, lines and aging (see scheduling), subscriptions, and
-- those of operating.
-- include tables
-- include uniques
-- include deleting
-- include operating
-- include subscribing

local META, ASKED, EVENTS, ONCE = unpack(KEYS)
local LOCKS, LAPSING, TICKS, LEDGER, LINES, AGING, SUBSCRIPTIONS = unpack(KEYS, 31)

local limit = tonumber(ARGV[2])
local kept = { { "c", ARGV[3] }, { "x", ARGV[4] }, { "d", ARGV[5] } }
-- Jobs looked at in one go.
local WINDOW = 500
-- Children that one call passes over since they are kept for their parents.
local MOST_LIFTED = 1000
-- Operations that one call looks at.
local MOST_OPERATIONS = 100
local changed, lifted = 0, 0

-- Let a job go whose own time has passed.
local function pass(member, value)
    local id = sub(member, 10)
    changed = changed + let_children_go(id, limit - changed)
    if changed >= limit then
        return
    end
    local is_letter = byte(member) == 100
    local job = (is_letter or byte(value, 2) == 108) and read_job(id)
    if job and job.parent and redis.call("HEXISTS", JOBS, job.parent) == 1 then
        -- It is entered again once that one lets it go.
        redis.call("ZREM", ENDED, member)
        lifted = lifted + 1
    else
        if is_letter then
            tell_purged(job, run_of(value), "retention")
        end
        delete(id, job, member)
        changed = changed + 1
    end
end

local function prune(state, till)
    local members = redis.call("ZRANGEBYLEX", ENDED, "[" .. state, "(" .. state .. sum(1, till), "LIMIT", 0,
        math.min(WINDOW, limit - changed))
    local ids = {}
    for at, member in ipairs(members) do
        ids[at] = sub(member, 10)
    end
    for at, value in ipairs(get_many("HMGET", RUNS, ids)) do
        if changed >= limit or lifted >= MOST_LIFTED then
            break
        end
        pass(members[at], value)
    end
    flush()
    return #members
end

-- Delete operations that ended so long ago. Their ids are by time, so the old ones are among the first.
local function prune_operations(time)
    for _, id in ipairs(redis.call("ZRANGEBYLEX", ACTED, "-", "+", "LIMIT", 0, MOST_OPERATIONS)) do
        if changed < limit and operation_of(id).changed_at <= NOW - time then
            redis.call("HDEL", OPERATIONS, id)
            redis.call("ZREM", ACTED, id)
            changed = changed + 1
        end
    end
end

-- Delete the oldest lines of all that were written so long ago.
local function prune_lines(time)
    local till = string.format("%.0f", NOW - time)
    repeat
        local aged = redis.call("ZRANGEBYSCORE", AGING, "-inf", till, "LIMIT", 0, math.min(WINDOW, limit - changed))
        local ids, lines = {}, {}
        for at, member in ipairs(aged) do
            local front = find(member, "\0", 1, true)
            ids[at] = sub(member, 1, front - 1)
            lines[at] = sub(member, front + 1) .. "\0" .. ids[at]
        end
        if #aged > 0 then
            redis.call("HDEL", TICKS, unpack(ids))
            redis.call("ZREM", LEDGER, unpack(ids))
            redis.call("ZREM", LINES, unpack(lines))
            redis.call("ZREM", AGING, unpack(aged))
        end
        changed = changed + #aged
    until #aged < WINDOW
end

-- Delete the oldest events, as long as they were written so long ago.
local function prune_events(time)
    local pruned, last = unpack(redis.call("HMGET", META, "pruned", "last"))
    pruned, last = tonumber(pruned or 0), tonumber(last or 0)
    repeat
        local numbers, gone, ids = {}, {}, {}
        for number = pruned + 1, math.min(last, pruned + WINDOW, pruned + limit - changed) do
            numbers[#numbers + 1] = string.format("%.0f", number)
        end
        for at, value in ipairs(get_many("HMGET", EVENTS, numbers)) do
            if number_of(sub(value, 3, 10)) > NOW - time then
                break
            end
            local _, id = cmsgpack.unpack_one(value, 10)
            gone[at], ids[#ids + 1] = numbers[at], id
        end
        if #gone > 0 then
            redis.call("HDEL", EVENTS, unpack(gone))
            pruned = pruned + #gone
            changed = changed + #gone
            redis.call("HSET", META, "pruned", string.format("%.0f", pruned))
        end
        if #ids > 0 then
            redis.call("HDEL", ONCE, unpack(ids))
        end
    until #gone < WINDOW
end

-- Forget the subscriptions under whose name nobody subscribed for so long as they said.
local function prune_subscriptions()
    local names = forgotten(SUBSCRIPTIONS, NOW)
    for _, name in ipairs(names) do
        redis.call("HDEL", SUBSCRIPTIONS, name)
    end
    if #names > 0 then
        ask_anew(ASKED, SUBSCRIPTIONS)
    end
    changed = changed + #names
end

-- Forget some values whose moment has passed; they count as no rows.
local function forget(values, moments)
    local names = redis.call("ZRANGEBYSCORE", moments, "-inf", string.format("(%.0f", NOW), "LIMIT", 0, WINDOW)
    if #names > 0 then
        redis.call("HDEL", values, unpack(names))
        redis.call("ZREM", moments, unpack(names))
    end
end

even_if_full(LINE)
local passed
repeat
    passed = 0
    for _, each in ipairs(kept) do
        local time = tonumber(each[2])
        if time and time <= NOW and changed < limit and lifted < MOST_LIFTED then
            passed = passed + prune(each[1], pack(">I8", NOW - time))
        end
    end
-- What a parent lets go may stand where all was gone through before.
until passed == 0 or changed >= limit or lifted >= MOST_LIFTED
if ARGV[5] ~= "" then
    prune_operations(tonumber(ARGV[5]))
end
if ARGV[6] ~= "" then
    prune_lines(tonumber(ARGV[6]))
end
if ARGV[7] ~= "" then
    prune_events(tonumber(ARGV[7]))
end
prune_subscriptions()
forget(METERS, FILLING)
forget(LOCKS, LAPSING)
return { changed, changed < limit and lifted >= MOST_LIFTED and 1 or 0 }
