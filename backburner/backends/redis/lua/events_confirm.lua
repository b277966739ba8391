-- Move subscriptions on, and store jobs. KEYS: those of tables, and subscriptions. ARGV: now, then of each confirmation:
-- name, where it stood, where it stands from now on, how many jobs, and those (see inserting). Answers: now, and of each
-- confirmation: nothing if it stood elsewhere, else of those jobs that were not just stored their places from 0, and after
-- each "duplicate", or the id of who holds its key behind "=".
-- include tables
-- include uniques
-- include lanes
-- include inserting
-- include taking_in

local SUBSCRIPTIONS = KEYS[#KEYS]
local JOB = 5

-- The subscriptions that confirmations are of, by name, as the confirmations so far leave them.
local subscriptions = {}

local function subscription_named(name)
    if subscriptions[name] == nil then
        local value = redis.call("HGET", SUBSCRIPTIONS, name)
        subscriptions[name] = value and cmsgpack.unpack(value)
    end
    return subscriptions[name]
end

-- Which are heard, and which of their jobs were stored before: all is known before anything is written.
local groups, new = {}, {}
local next_at = 2
while ARGV[next_at] do
    local name, cursor, upto, count = unpack(ARGV, next_at, next_at + 3)
    local subscription = subscription_named(name)
    local first_job = next_at + 4
    next_at = first_job + JOB * count
    groups[#groups + 1] = false
    if subscription and subscription.cursor == cursor then
        subscription.cursor, subscription.moved = upto, true
        local jobs = new_jobs(first_job, next_at - 1)
        groups[#groups] = { jobs = jobs, before = #new }
        for _, each in ipairs(jobs) do
            new[#new + 1] = each
        end
    end
end
local known = known_of(new)
need_room(known)
even_if_full(LINE)

local answer = { NOW8 }
for at, group in ipairs(groups) do
    answer[at + 1] = group and {}
    for place, each in ipairs(group and group.jobs or {}) do
        local said = take_in(each, known[group.before + place])
        if said then
            local told = answer[at + 1]
            told[#told + 1] = place - 1
            told[#told + 1] = said
        end
    end
end
for name, subscription in pairs(subscriptions) do
    if subscription and subscription.moved then
        subscription.moved = nil
        redis.call("HSET", SUBSCRIPTIONS, name, cmsgpack.pack(subscription))
    end
end
flush()
return answer
