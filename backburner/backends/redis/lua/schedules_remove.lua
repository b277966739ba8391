-- Delete a schedule if its version is the one sent; its ledger stays. KEYS: those of logging, and see scheduling. ARGV:
-- now, name, version (8 bytes), events. Answers 1 if it was.
-- include logging
-- include scheduling

local value = redis.call("HGET", SCHEDULES, ARGV[2])
if not value or string.sub(value, 1, 8) ~= ARGV[3] then
    return 0
end
redis.call("HDEL", SCHEDULES, ARGV[2])
redis.call("ZREM", NAMED, ARGV[2])
redis.call("ZREM", COMING, ARGV[2])
events.add_all(ARGV[4])
events.write()
return 1
