-- Take a lease. KEYS: see locking. ARGV: now, name, holder, length in microseconds, 1 if it shares.
-- Answers: now, the token (0: refused), when the last of those that others hold ends.
-- include locking

local name, holder, shared = ARGV[2], ARGV[3], ARGV[5] == "1"
local last, holders = lock_of(name)
local own, refused
local ends = 0
for _, each in ipairs(holders) do
    if each[1] == holder and each[3] == shared then
        own = each
    elseif each[1] == holder or not (shared and each[3]) then
        refused = true
    end
    ends = math.max(ends, each[4])
end
if refused then
    return { NOW, 0, ends }
end
even_if_full(LAPSING)
if not own then
    last = math.max(last + 1, NOW)
    own = { holder, last, shared }
    holders[#holders + 1] = own
end
own[4] = NOW + ARGV[4]
keep_lock(name, last, holders)
return { NOW, own[2], 0 }
