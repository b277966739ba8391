-- Answer now and the packed settings of every queue, or every kind that is paused.
-- KEYS: queues or kinds. ARGV: now.
return { now(), redis.call("HVALS", KEYS[1]) }
