-- Answer the queues of jobs, by an index whose members end with their ids. KEYS: those of tables. ARGV: now, "waiting" or
-- "dead", where to begin as ZRANGEBYLEX has it, how many at most. Answers the last member (nothing: there was none), then
-- the queues.
-- include tables

local members = redis.call("ZRANGEBYLEX", ARGV[2] == "dead" and DEAD or WAITING, ARGV[3], "+", "LIMIT", 0, ARGV[4])
local answer = { members[#members] or false }
for _, member in ipairs(members) do
    local id = member
    if ARGV[2] == "waiting" then
        -- A key may be any text but NUL; behind it stand the priority, and when it is due.
        id = sub(member, find(member, "\0", 1, true) + 10)
    end
    answer[#answer + 1] = read_job(id).queue
end
return answer
