-- Have jobs that wait in the line and are due later be due now, and store events if there was any. ARGV: now, events, ids
-- (msgpack, each once). Answers: now, and of each id what was found: as the port has it, or nothing (missing).
-- include tables

local answer = { NOW8 }
local expedited = false

local function expedite(job, run)
    leave(job, "", run.due, run.failures)
    run.due = NOW8
    two(set_run, job.id, run_value(run))
    stand(job, "", NOW8, run.failures)
    expedited = true
end

local function see(job)
    local run = read_run(job)
    if run.state == "r" then
        return "running"
    elseif run.state ~= "p" then
        return "ended"
    elseif run.more.gate and run.more.gate ~= "" then
        return "gated"
    elseif number_of(run.due) <= NOW then
        return "due"
    end
    expedite(job, run)
    return "expedited"
end

even_if_full(LINE)
for _, id in ipairs(cmsgpack.unpack(ARGV[3])) do
    local job = read_job(id)
    answer[#answer + 1] = job and see(job) or ""
end
if expedited then
    events.add_all(ARGV[2])
end
flush()
return answer
