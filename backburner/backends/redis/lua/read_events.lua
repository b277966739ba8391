-- Answer now, the name of the log, the number of its newest event, the greatest that was deleted, the number of the first
-- event that follows, and some of them by number, each or nothing. KEYS: meta, events. ARGV: now, the number that they stand
-- behind, how many at most, and "down" for those that stand before it instead (empty: the newest of all).
local from, most = tonumber(ARGV[2]), tonumber(ARGV[3])
local log, last, pruned = unpack(redis.call("HMGET", KEYS[1], "log", "last", "pruned"))
last, pruned = tonumber(last or 0), tonumber(pruned or 0)
local first, final
if ARGV[4] == "down" then
    final = math.min(from or last + 1, last + 1) - 1
    first = math.max(pruned, final - most) + 1
else
    first = math.max(from, pruned) + 1
    final = math.min(last, first + most - 1)
end
local numbers = {}
for number = first, final do
    numbers[#numbers + 1] = string.format("%.0f", number)
end
return { now(), log or "", last, pruned, first, #numbers > 0 and redis.call("HMGET", KEYS[2], unpack(numbers)) or {} }
