-- Answer now, and of each lane its limit as JSON, how many run, the first of those, when its rate has a permit (8 bytes;
-- empty without a rate), and 1 if jobs stand there. ARGV: now, how many runs at most, lanes.
-- include tables
-- include lanes

local answer = { NOW8 }
for at = 3, #ARGV do
    local name = ARGV[at]
    local lane = lane_named(name)
    local holders = {}
    for each, member in ipairs(starting(INSIDE, name, ARGV[2])) do
        holders[each] = sub(member, #name + 2)
    end
    local rate = lane.limit.rate
    answer[#answer + 1] = {
        lane.limit.text, running_in(name), holders, rate and sum(next_permit(rate, lane.meter), NOW8) or "",
        stands_at(name) and 1 or 0,
    }
end
return answer
