-- Hand over due jobs. ARGV: now, the request (msgpack: see claiming). Answers: now, and the claim.
-- include tables
-- include uniques
-- include lanes
-- include claiming

local request = cmsgpack.unpack(ARGV[2])
if not alive(request.node) then
    return redis.error_reply("LEASELOST " .. request.node)
end
even_if_full(LINE)
return { NOW8, claim(request) }
