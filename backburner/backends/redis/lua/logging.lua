-- Events on their way into the log. Included by tables, and by what else stores events; the first of KEYS are those four
-- named here.
--
-- Hashes. meta has, beside the format: log, the name of the log; last, the number of its newest event; pruned, the greatest
-- number that was deleted. Between these two, every number has its event.
--   asked    whatever subscriptions ask for, by pattern
--   events   by number; msgpack: [time, id, name, subject, data], of which the time is always 8 bytes
--   once     by the id that its publisher gave, the number of an event that is there

local events = {}

do
    local META, ASKED, EVENTS, ONCE = unpack(KEYS)
    -- Events that one command writes.
    local MOST_WRITTEN = 2000
    local anybody
    local asked_for, added, ids, texts = {}, {}, {}, {}

    local function is_asked(pattern)
        return redis.call("HEXISTS", ASKED, pattern) == 1
    end

    local function is_asked_for(name)
        if is_asked("*") or is_asked(name) then
            return true
        end
        local front = string.match(name, "^(.+)%.[^.]*$")
        while front do
            if is_asked(front .. ".*") then
                return true
            end
            front = string.match(front, "^(.+)%.[^.]*$")
        end
        return false
    end

    local function is_stored(id)
        return ids[id] or redis.call("HEXISTS", ONCE, id) == 1
    end

    -- A text as JSON; many events say the same.
    local function json(text)
        local known = texts[text]
        if not known then
            known = cjson.encode(text)
            texts[text] = known
        end
        return known
    end

    -- Whether a subscription asks for a name. Where there is none, a script looks once, whatever it does.
    function events.wanted(name)
        if anybody == nil then
            anybody = redis.call("EXISTS", ASKED) == 1
        end
        if anybody and asked_for[name] == nil then
            asked_for[name] = is_asked_for(name)
        end
        return anybody and asked_for[name]
    end

    -- Add one; by then the script has seen that it may write.
    function events.add(name, subject, data, id)
        added[#added + 1] = cmsgpack.pack(id, name, subject, data)
        if id then
            ids[id] = #added
        end
    end

    -- Add those of a list (see sending.py; empty: none) that are wanted, or kept, and whose id is not stored; of those that
    -- tell of a job, those that know whether it is among the ones that were held up. Returns how many.
    function events.add_all(packed, held_up)
        local before = #added
        for _, each in ipairs(packed ~= "" and cmsgpack.unpack(packed) or {}) do
            local name, subject, data, kept, held, id, job = unpack(each, 1, 7)
            local is_so = not job or not held_up or (held_up[job] ~= nil) == held
            if is_so and (kept or events.wanted(name)) and not (id and is_stored(id)) then
                events.add(name, subject, data, id)
            end
        end
        return #added - before
    end

    -- Add one about a job; behind its attempt stand names and values, in turns, of what else there is to say, a delay as
    -- the text of a number.
    function events.of_job(name, job, attempt, ...)
        local data = '{"kind":' .. json(job.kind) .. ',"queue":' .. json(job.queue) .. ',"attempt":' .. attempt
        for at = 1, select("#", ...), 2 do
            local field, value = select(at, ...)
            if value and value ~= "" then
                data = data .. ',"' .. field .. '":' .. (field == "delay" and value or json(value))
            end
        end
        events.add(name, job.id, data .. "}")
    end

    -- Number what was added, and write it.
    function events.write()
        if #added == 0 then
            return
        end
        local before = redis.call("HINCRBY", META, "last", #added) - #added
        local head = "\149\211" .. struct.pack(">I8", now())
        for first = 1, #added, MOST_WRITTEN do
            local sent = {}
            for at = first, math.min(first + MOST_WRITTEN - 1, #added) do
                sent[#sent + 1] = string.format("%.0f", before + at)
                sent[#sent + 1] = head .. added[at]
            end
            redis.call("HSET", EVENTS, unpack(sent))
        end
        for id, at in pairs(ids) do
            redis.call("HSET", ONCE, id, string.format("%.0f", before + at))
        end
        added, ids = {}, {}
    end
end
