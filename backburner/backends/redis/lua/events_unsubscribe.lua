-- Forget a subscription. KEYS: those of logging, subscriptions, leases. ARGV: now, name. Answers 1 if there was one.

-- include subscribing

local ASKED, SUBSCRIPTIONS, LEASES = KEYS[2], KEYS[5], KEYS[6]

if redis.call("HEXISTS", SUBSCRIPTIONS, ARGV[2]) == 0 then
    return 0
end
even_if_full(LEASES)
redis.call("HDEL", SUBSCRIPTIONS, ARGV[2])
ask_anew(ASKED, SUBSCRIPTIONS)
return 1
