-- Answer now, and operations: of these ids (nothing where there is none), or the last of those below an id.
-- KEYS: operations, and where to look for ids, if anywhere. ARGV: now, then ids, or the highest one as ZREVRANGEBYLEX has it
-- and how many at most of each key.
local answer = { now() }
local function add(ids)
    for _, id in ipairs(ids) do
        answer[#answer + 1] = redis.call("HGET", KEYS[1], id)
    end
end
if #KEYS == 1 then
    add({ unpack(ARGV, 2) })
end
for index = 2, #KEYS do
    add(redis.call("ZREVRANGEBYLEX", KEYS[index], ARGV[2], "-", "LIMIT", 0, ARGV[3]))
end
return answer
