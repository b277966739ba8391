-- Let a lease go, and tell. KEYS: see locking. ARGV: now, name, holder, token, channel, hint. Answers 1, or 0 when it was
-- over or another's.
-- include locking

local last, holders = lock_of(ARGV[2])
local at = place_among(holders, ARGV[3], tonumber(ARGV[4]))
if not at then
    return 0
end
even_if_full(LAPSING)
table.remove(holders, at)
keep_lock(ARGV[2], last, holders)
tell(ARGV[5], ARGV[6])
return 1
