-- Answer who stands or runs where, unless these are too many: of each index all members, whose ends are ids; nothing
-- where they are more than that together.
-- KEYS: some of line, waiting, parked, held. ARGV: now, how many at most (less than 0: any number).
local many, most = 0, tonumber(ARGV[2])
for _, key in ipairs(KEYS) do
    many = many + redis.call("ZCARD", key)
end
if most >= 0 and many > most then
    return false
end
local answer = {}
for index, key in ipairs(KEYS) do
    answer[index] = redis.call("ZRANGE", key, 0, -1)
end
return answer
