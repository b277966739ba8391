-- Answer now, and of each id its job and its run, both nothing where there is no such job.
-- KEYS: jobs, runs. ARGV: now, ids.
local answer = { now() }
for index = 2, #ARGV do
    answer[#answer + 1] = redis.call("HGET", KEYS[1], ARGV[index])
    answer[#answer + 1] = redis.call("HGET", KEYS[2], ARGV[index])
end
return answer
