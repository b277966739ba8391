-- Hold on to a lease. KEYS: see locking. ARGV: now, name, holder, token, length in microseconds. Answers 1, or 0 when it is
-- over or another's.
-- include locking

local last, holders = lock_of(ARGV[2])
local at = place_among(holders, ARGV[3], tonumber(ARGV[4]))
if not at then
    return 0
end
even_if_full(LAPSING)
holders[at][4] = NOW + ARGV[5]
keep_lock(ARGV[2], last, holders)
return 1
