-- Count what each queue holds, by ranges. KEYS: line, held, retrying, letters, dead, parked, waiting. ARGV: now. Answers:
-- now; of each queue that has somebody in the line or at its gates there: name, waiting, when the first of those was due
-- (nothing: none waits), later, those of them that have failed before, at gates; runs and letters: queues and how many, in
-- turns; of unknown kinds: kinds and how many; 1 if letters are missing, of those that died before there were any; how
-- many stand at lanes, and wait for keys.
local LINE, HELD, RETRYING, LETTERS, DEAD, PARKED, WAITING = unpack(KEYS)
local sub, find = string.sub, string.find
local at = now()
local later = struct.pack(">I8", at + 1)

local function first_of(key, from, last)
    return redis.call("ZRANGEBYLEX", key, from, last or "+", "LIMIT", 0, 1)[1]
end

local function count(key, from, last)
    return redis.call("ZLEXCOUNT", key, "[" .. from, "(" .. last)
end

-- Go through all that stands before the n-th NUL of members, and call a function with each once.
local function go_through(key, n, see)
    local from = "-"
    repeat
        local first = first_of(key, from)
        if first then
            local stop = 0
            for _ = 1, n do
                stop = find(first, "\0", stop + 1, true)
            end
            local front = sub(first, 1, stop - 1)
            see(front)
            from = "[" .. front .. "\1"
        end
    until not first
end

local unknown, unknown_at = {}, {}

local function count_unknown(queue)
    local front = queue .. "\0unknown:"
    local from = "[" .. front
    repeat
        local first = first_of(LINE, from, "(" .. queue .. "\0unknown;")
        if first then
            local stop = find(first, "\0", #front + 1, true)
            local kind, gate = sub(first, #front + 1, stop - 1), sub(first, 1, stop - 1)
            if not unknown_at[kind] then
                unknown_at[kind] = #unknown + 2
                unknown[#unknown + 1], unknown[#unknown + 2] = kind, 0
            end
            unknown[unknown_at[kind]] = unknown[unknown_at[kind]] + count(LINE, gate .. "\0", gate .. "\1")
            from = "[" .. gate .. "\1"
        end
    until not first
end

local lines = {}

local function look_at_line(queue)
    local front, last = queue .. "\0\0", queue .. "\0\1"
    local waiting, oldest = 0, nil
    local from = "[" .. front
    repeat
        local first = first_of(LINE, from, "(" .. last)
        if first then
            local ranked = sub(first, 1, #front + 1)
            local due = count(LINE, ranked, ranked .. later)
            if due > 0 then
                local high, low = struct.unpack(">I4I4", first, #ranked + 1)
                oldest = math.min(oldest or math.huge, high * 4294967296 + low)
            end
            waiting = waiting + due
            from = "[" .. front .. string.char(string.byte(ranked, -1) + 1)
        end
    until not first
    lines[#lines + 1] = {
        queue, waiting, oldest or false, count(LINE, front, last) - waiting,
        count(RETRYING, queue .. "\0" .. later, queue .. "\1"), count(LINE, last, queue .. "\1"),
    }
    count_unknown(queue)
end

local runs, letters = {}, {}

go_through(LINE, 1, look_at_line)
go_through(HELD, 2, function(front)
    runs[#runs + 1] = string.match(front, "%z(.*)$")
    runs[#runs + 1] = count(HELD, front .. "\0", front .. "\1")
end)
go_through(LETTERS, 1, function(queue)
    letters[#letters + 1] = queue
    letters[#letters + 1] = count(LETTERS, queue .. "\0", queue .. "\1")
end)
local is_short = redis.call("ZCARD", LETTERS) ~= redis.call("ZCARD", DEAD)
return {
    at, lines, runs, letters, unknown, is_short and 1 or 0, redis.call("ZCARD", PARKED), redis.call("ZCARD", WAITING),
}
