-- Write schedules, lines of their ledgers, and jobs. KEYS: those of tables, and of scheduling. ARGV: now, channel, hint,
-- then of each change: name, version and when it was created (8 bytes each; 0: whichever), when it is due (8 bytes; empty:
-- never), last job (empty: none), the record, the events, how many ticks and how many jobs, the ticks, and the jobs (see
-- inserting). A tick: id, schedule, when it is written (8 bytes; empty: now), its job (empty: none), what became of it,
-- the rest. Answers: now, and of each change: nothing if it was outrun, else the ids of those jobs that were not stored
-- since their key is held, each followed by that of who holds it.
-- include tables
-- include uniques
-- include lanes
-- include inserting
-- include taking_in
-- include scheduling

local TICK, JOB = 6, 5
local left_coming = buffer("ZREM", COMING)
local set_schedule, to_named, to_coming = buffer("HSET", SCHEDULES), buffer("ZADD", NAMED), buffer("ZADD", COMING)
local set_tick, to_ledger = buffer("HSET", TICKS), buffer("ZADD", LEDGER)
local to_lines, to_aging = buffer("ZADD", LINES), buffer("ZADD", AGING)

local changes, names = {}, {}
local next_at = 4
while ARGV[next_at] do
    local first_tick = next_at + 8
    local first_job = first_tick + TICK * ARGV[next_at + 6]
    local change = { at = next_at, first_tick = first_tick, last_tick = first_job - 1, first_job = first_job }
    next_at = first_job + JOB * ARGV[next_at + 7]
    changes[#changes + 1] = change
    names[#names + 1] = ARGV[change.at]
end

-- The schedules that changes are of, by name, as the changes so far leave them.
local states = {}
local due_before = get_many("ZMSCORE", COMING, names)
for at, value in ipairs(get_many("HMGET", SCHEDULES, names)) do
    states[names[at]] = {
        version = value and sub(value, 1, 8) or NONE, created = value and sub(value, 9, 16) or NOW8,
        due = due_before[at] and tonumber(due_before[at]),
    }
end

-- Which changes are made, and what of theirs was written before: all is known before anything is written.
local new, ticks = {}, {}
for at, change in ipairs(changes) do
    local state, version, created = states[names[at]], sub(ARGV[change.at + 1], 1, 8), sub(ARGV[change.at + 1], 9, 16)
    if state.version == version and (version == NONE or created == NONE or created == state.created) then
        state.version = sum(1, version)
        change.state, change.jobs = state, new_jobs(change.first_job, change.first_job + JOB * ARGV[change.at + 7] - 1)
        for _, each in ipairs(change.jobs) do
            new[#new + 1] = each
        end
        for tick = change.first_tick, change.last_tick, TICK do
            ticks[#ticks + 1] = ARGV[tick]
        end
    end
end
local known, is_written = known_of(new), {}
for at, score in ipairs(get_many("ZMSCORE", LEDGER, ticks)) do
    is_written[ticks[at]] = score and true
end
need_room(known)
even_if_full(LINE)

-- Which of a change's jobs are held up by whom; `first` is the place of the first among all new ones.
local function store_jobs(jobs, first)
    local held, holders = {}, {}
    for at, each in ipairs(jobs) do
        local said = take_in(each, known[first + at - 1])
        if said and byte(said) == 61 then
            holders[each[1]] = sub(said, 2)
            held[#held + 1] = each[1]
            held[#held + 1] = sub(said, 2)
        end
    end
    return held, holders
end

local function write_tick(at, holders)
    local id, schedule, written, job, became, rest = unpack(ARGV, at, at + TICK - 1)
    if is_written[id] then
        return
    end
    is_written[id] = true
    written = written ~= "" and written or NOW8
    if holders[job] then
        became = cmsgpack.pack({ "skipped", "unique", holders[job] })
    end
    two(set_tick, id, written .. "\146" .. became .. rest)
    two(to_ledger, 0, id)
    two(to_lines, 0, schedule .. "\0" .. id)
    two(to_aging, number_of(written), id .. "\0" .. schedule)
end

local answer = { NOW8 }
local first = 1
for at, change in ipairs(changes) do
    local state = change.state
    if state then
        local due, last_job, record = unpack(ARGV, change.at + 2, change.at + 4)
        local held, holders = store_jobs(change.jobs, first)
        first = first + #change.jobs
        for tick = change.first_tick, change.last_tick, TICK do
            write_tick(tick, holders)
        end
        events.add_all(ARGV[change.at + 5], holders)
        last_job = holders[last_job] or last_job
        state.next_due = due ~= "" and number_of(due)
        state.rest = "\146" .. (last_job ~= "" and cmsgpack.pack(last_job) or NIL) .. record
        answer[at + 1] = held
    else
        answer[at + 1] = false
    end
end

local is_earlier = false
for name, state in pairs(states) do
    if state.rest then
        two(set_schedule, name, state.version .. state.created .. NOW8 .. state.rest)
        two(to_named, 0, name)
        if state.next_due then
            two(to_coming, state.next_due, name)
            is_earlier = is_earlier or not state.due or state.next_due < state.due
        else
            one(left_coming, name)
        end
    end
end
flush()
if is_earlier then
    -- Others wait for what was due first; what is due later than it was they find out by themselves.
    tell(ARGV[2], ARGV[3])
end
return answer
