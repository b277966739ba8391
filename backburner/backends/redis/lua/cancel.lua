-- Cancel the pending, ask for the running, leave the ended, and store events if there was any of the two. ARGV: now, reason,
-- ids (msgpack, each once), events.
-- Answers: now, and of each id what was found: c (cancelled), a (asked), e (ended), or nothing (missing).
-- include tables
-- include uniques

local reason = ARGV[2]
local answer = { NOW8 }
local changed = false

local function cancel(job, run)
    local gate = run.more.gate or ""
    leave(job, gate, run.due, run.failures)
    run.state, run.ended, run.more.gate, run.more.reason = "x", NOW8, nil, reason
    two(set_run, job.id, run_value(run))
    two(to_ended, 0, "x" .. NOW8 .. job.id)
    enter_key(job, "x", "")
    if events.wanted("job.cancelled") then
        events.of_job("job.cancelled", job, run.attempt, "reason", reason)
    end
    if job.key then
        flush()
        let_through(job.key)
        flush()
    end
end

local function ask(job, run)
    if not run.more.asked or run.more.asked == "group" then
        run.asked, run.more.asked = "a", reason
        two(set_run, job.id, run_value(run))
    end
end

even_if_full(LINE)
for _, id in ipairs(cmsgpack.unpack(ARGV[3])) do
    local job = read_job(id)
    local found = ""
    if job then
        local run = read_run(job)
        if run.state == "p" then
            cancel(job, run)
            found, changed = "c", true
        elseif run.state == "r" then
            ask(job, run)
            found, changed = "a", true
        else
            found = "e"
        end
    end
    answer[#answer + 1] = found
end
if changed then
    events.add_all(ARGV[4])
end
flush()
return answer
