-- Declare limits. ARGV: now, channel, hint, then of each its name and itself as JSON. Answers, of those with more lanes to
-- open than one script may, the name and the last lane that was opened (see limits_open).
-- include tables
-- include lanes
-- include limiting

even_if_full(LINE)
local answer = {}
for at = 4, #ARGV, 2 do
    local last = declare(ARGV[at], ARGV[at + 1])
    if last then
        answer[#answer + 1] = ARGV[at]
        answer[#answer + 1] = last
    end
end
if changed then
    tell(ARGV[2], ARGV[3])
end
return answer
