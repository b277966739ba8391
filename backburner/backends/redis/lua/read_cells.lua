-- Answer now, and in turns the names that begin so and what is kept under them (see cells_swap).
-- KEYS: cells. ARGV: now, prefix.
local cells = redis.call("HGETALL", KEYS[1])
local answer = { now() }
for index = 1, #cells, 2 do
    if string.sub(cells[index], 1, #ARGV[2]) == ARGV[2] then
        answer[#answer + 1] = cells[index]
        answer[#answer + 1] = cells[index + 1]
    end
end
return answer
