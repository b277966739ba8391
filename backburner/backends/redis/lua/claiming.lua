-- Due jobs on their way to a node. Included after tables, uniques and lanes.

local claim

-- A script has two hundred names at most: of those from here to the end nobody else needs any.
do
-- include opening
-- include judging
-- include taking

-- Jobs that one claim parks: the server does nothing else meanwhile.
local MOST_PARKED = 1000
-- Suspects and misfits refused by lanes that one claim passes over, and the microseconds until they are asked about again.
local MOST_PASSED, AGAIN = 50, 1000000

-- Claim what a request asks for: {node, limit, queues, kinds, suspect}; queues: pairs of a name and free slots; kinds:
-- the name of the signature by kind, empty where it has none. The lease has been seen to, nothing is buffered.
-- Returns: the token of those that never ran before; the wait in microseconds, or nil; queues that are capped; kinds
-- parked and how many of each, in turns; then of each claim its id, job, run (empty: never ran before), gate.
function claim(request)
    local node, kinds, suspect, left = request.node, request.kinds, request.suspect, request.limit
    local rooms, sources, capped = {}, {}, {}
    local claimed, parked, parked_in_all, passed = {}, {}, 0, 0
    local pauses, ends = pauses_of(kinds)
    local opening = open_lanes()
    -- When more of what was asked for is due, as far as that is known.
    local next_moment = ends

    local function wake(at)
        next_moment = next_moment and math.min(next_moment, at) or at
    end

    local function goes_on(kind)
        return not pauses[kind] and kinds[kind]
    end

    -- ---- where to look ------------------------------------------------------------------------------------------

    local function look_at(room, gate)
        local prefix = room.queue .. "\0" .. gate .. "\0"
        sources[#sources + 1] = {
            room = room, gate = gate, prefix = prefix, from = "[" .. prefix, last = "(" .. room.queue .. "\0" .. gate .. "\1",
            found = {}, at = 1, done = false,
        }
    end

    local function may_fit(gate)
        local kind, tried = misfit_at(gate)
        local signature = kind and goes_on(kind)
        return signature and signature ~= "" and not find("," .. tried .. ",", "," .. signature .. ",", 1, true)
    end

    -- Open the gates that begin so and that a test lets through; goes from gate to gate, however many stand at each.
    local function open_some(room, beginning, test)
        local from, last = "[" .. room.queue .. "\0" .. beginning .. ":", "(" .. room.queue .. "\0" .. beginning .. ";"
        repeat
            local first = redis.call("ZRANGEBYLEX", LINE, from, last, "LIMIT", 0, 1)[1]
            if first then
                local start = #room.queue + 2
                local gate = sub(first, start, find(first, "\0", start, true) - 1)
                if test(gate) then
                    look_at(room, gate)
                end
                from = "[" .. room.queue .. "\0" .. gate .. "\1"
            end
        until not first
    end

    local function open_room(queue, slots)
        local settings = settings_of(queue)
        local is_paused, till = paused(settings)
        if is_paused then
            if till then
                wake(till)
            end
            return
        end
        local room = room_of(node, queue, slots, settings)
        if not room then
            capped[#capped + 1] = queue
            return
        end
        rooms[#rooms + 1] = room
        look_at(room, "")
        if redis.call("ZRANGEBYLEX", LINE, "[" .. queue .. "\0\1", "(" .. queue .. "\1", "LIMIT", 0, 1)[1] then
            if suspect then
                look_at(room, "suspect")
            end
            open_some(room, "misfit", may_fit)
            open_some(room, "unknown", function(gate) return goes_on(sub(gate, 9)) end)
            open_some(room, "paused", function(gate) return goes_on(sub(gate, 8)) end)
        end
    end

    -- ---- looking ------------------------------------------------------------------------------------------------

    local function known_suspect(id)
        return goes_on(kind_of(redis.call("HGET", JOBS, id)))
    end

    -- See to it that a source has its next due job at hand, if there is one; of what is not due yet keep the moment.
    local function fill(source, limit)
        local start = #source.prefix + 1
        while not source.found[source.at] and not source.done do
            local found = {}
            source.found, source.at = found, 1
            local members = redis.call("ZRANGEBYLEX", LINE, source.from, source.last, "LIMIT", 0, limit)
            local count = #members
            source.done = count < limit
            for _, member in ipairs(members) do
                local priority, due = byte(member, start), number_of(sub(member, start + 1, start + 8))
                if due > NOW then
                    source.due = source.due and math.min(source.due, due) or due
                    source.from = "[" .. source.prefix .. string.char(priority + 1)
                    source.done = false
                    break
                end
                source.from = "(" .. member
                local id = sub(member, start + 9)
                if source.gate ~= "suspect" or known_suspect(id) then
                    found[#found + 1] = { id, priority, due, member, source, false, "" }
                end
            end
        end
        return source.found[source.at]
    end

    local function next_due()
        local first
        for _, source in ipairs(sources) do
            local free = source.room.free
            if free > 0 and (suspect or source.gate ~= "suspect") then
                local head = source.found[source.at] or fill(source, math.min(free, left) + 1)
                if head and (not first or earlier(head, first)) then
                    first = head
                end
            end
        end
        return first
    end

    -- Take those that come next, as many as there is room for.
    local function candidates()
        local chosen = {}
        while left > 0 and parked_in_all + #chosen < MOST_PARKED do
            local first = next_due()
            if not first then
                break
            end
            local source = first[SOURCE]
            chosen[#chosen + 1] = first
            source.at = source.at + 1
            source.room.free = source.room.free - 1
            left = left - 1
            if source.gate == "suspect" then
                suspect = false
            end
        end
        return chosen
    end

    -- ---- taking -------------------------------------------------------------------------------------------------

    -- Somebody was turned away for whose sake others of his queue were not chosen: they come before those chosen behind him.
    local overtaken = false

    local function give_back(chosen)
        local room = chosen[SOURCE].room
        overtaken = overtaken or room.free <= 0
        room.free = room.free + 1
        left = left + 1
    end

    local function park(chosen, job, gate, run_before)
        put_at(chosen, job, gate, run_before)
        give_back(chosen)
        parked_in_all = parked_in_all + 1
    end

    -- Leave a suspect or a misfit where it is; after a few, their gates are looked at no more.
    local function pass_over(chosen)
        give_back(chosen)
        wake(NOW + AGAIN)
        passed = passed + 1
        local source = chosen[SOURCE]
        if source.gate == "suspect" then
            suspect = true
        end
        if passed >= MOST_PASSED then
            source.found, source.at, source.done = {}, 1, true
        end
    end

    -- See to one that names lanes: whether it may be taken.
    local function is_let_pass(chosen, job, run_before)
        local lane = enter_or_refuse(job, run_before)
        if not lane then
            return true
        end
        local gate = chosen[SOURCE].gate
        if gate == "suspect" or sub(gate, 1, 7) == "misfit:" then
            pass_over(chosen)
        else
            park(chosen, job, LANE .. lane.name, run_before)
            leave_room(job, lane)
        end
        return false
    end

    -- Have them chosen again, in their order.
    local function put_back(later)
        for at = #later, 1, -1 do
            local source = later[at][SOURCE]
            table.insert(source.found, source.at, later[at])
            source.room.free, left = source.room.free + 1, left + 1
            suspect = suspect or source.gate == "suspect"
        end
    end

    local function take_or_park(chosen)
        local ids, later, waiting = {}, {}, {}
        overtaken = false
        for at, each in ipairs(chosen) do
            ids[at] = each[ID]
        end
        local values, runs = get_many("HMGET", JOBS, ids), get_many("HMGET", RUNS, ids)
        for at, each in ipairs(chosen) do
            local value, run = values[at], runs[at]
            local job = byte(value, 20) ~= 192 and job_of(each[ID], value)
            local kind = job and job.kind or kind_of(value)
            -- Who asks no lanes takes nothing from anybody, unless he stands behind one who does.
            if overtaken and ((job and job.lanes) or waiting[each[SOURCE]]) then
                waiting[each[SOURCE]] = true
                later[#later + 1] = each
            elseif not kinds[kind] then
                park(each, job or job_of(each[ID], value), "unknown:" .. kind, run)
                parked[kind] = (parked[kind] or 0) + 1
            elseif not goes_on(kind) then
                park(each, job or job_of(each[ID], value), "paused:" .. kind, run)
            elseif not (job and job.lanes) or is_let_pass(each, job, run) then
                take(each, job, value, run, node)
                claimed[#claimed + 1] = each
            end
        end
        put_back(later)
    end

    -- ---- answering ----------------------------------------------------------------------------------------------

    -- When more of what was asked for can be claimed. What an operator's slots hold back waits for a run to end, what his
    -- rate does for a permit.
    local function wait()
        -- What was opened or shut here may have changed it.
        local opens = next(lanes) and next_opening() or opening
        if opens then
            wake(opens)
        end
        for _, source in ipairs(sources) do
            if parked_in_all >= MOST_PARKED or (next_moment and next_moment <= NOW) then
                return 0
            end
            local room = source.room
            local counts = room.free > 0 or not room.capped
            if counts and (source.gate ~= "suspect" or suspect) then
                local moment = fill(source, 1) and NOW or source.due
                if moment then
                    wake(room.lane and math.max(moment, NOW + rest_of(room.lane)) or moment)
                end
            end
        end
        return next_moment and math.max(0, next_moment - NOW)
    end

    for _, asked in ipairs(request.queues) do
        if asked[2] > 0 then
            open_room(asked[1], asked[2])
        end
    end
    local rounds = 0
    while left > 0 and parked_in_all < MOST_PARKED do
        local chosen = candidates()
        if #chosen == 0 then
            break
        end
        take_or_park(chosen)
        rounds = rounds + 1
    end
    if rounds > 1 then
        table.sort(claimed, earlier)
    end
    spend_rates(rooms)
    write_meters()
    local waits = wait()
    flush()
    for _, room in ipairs(rooms) do
        if room.capped and room.free <= 0 then
            capped[#capped + 1] = room.queue
        end
    end
    local counts = {}
    for kind, count in pairs(parked) do
        counts[#counts + 1] = kind
        counts[#counts + 1] = count
    end
    local answer = { FRESH_TOKEN, waits and pack(">I8", waits) or "", capped, counts }
    for at, each in ipairs(claimed) do
        local last = 4 * at
        answer[last + 1], answer[last + 2], answer[last + 3], answer[last + 4] = each[ID], each[VALUE], each[RUN], each[SOURCE].gate
    end
    return answer
end

end
