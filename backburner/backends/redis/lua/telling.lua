-- Telling how runs ended. Included after tables, by settle.

do
    -- Events of runs that are to run again, by how those ended, and what is said beside; any other ending interrupts.
    local INTERRUPTED = { "job.interrupted", error = true }
    local AGAIN = {
        failed = { "job.retry", error = true, fingerprint = true, delay = true },
        snoozed = { "job.snoozed", delay = true },
        crashed = { "job.crashed", error = true },
        misfit = { "job.misfit", error = true },
    }
    local RELEASED = { "job.released", delay = true }
    local ENDED = { c = "job.completed", x = "job.cancelled", d = "job.dead" }

    -- A delay as it was sent (nothing: none), as the text of a number of seconds.
    local function seconds(sent)
        local micros = sent and number_of(eight(sub(sent, 2))) or 0
        local rest = math.fmod(micros, 1000000)
        local whole = string.format("%.0f", (micros - rest) / 1000000)
        if rest == 0 then
            return whole
        end
        return whole .. "." .. string.gsub(string.format("%06.0f", rest), "0+$", "")
    end

    -- Tell what became of a run: the state of its job by now, why it is in that (nothing: no reason), and the settlement.
    function events.of_end(node, job, attempt, state, reason, settlement)
        local ending, raised, message, _, fingerprint = unpack(settlement.history or {}, 1, 5)
        local again = state == "p" and (not ending and RELEASED or AGAIN[ending] or INTERRUPTED)
        local name = again and again[1] or ENDED[state]
        if not events.wanted(name) then
            return
        end
        if again then
            events.of_job(
                name, job, attempt, "node", node, "error", again.error and raised, "message", message,
                "fingerprint", again.fingerprint and fingerprint, "delay", again.delay and seconds(settlement.delay)
            )
        elseif state == "d" then
            events.of_job(
                name, job, attempt, "node", node, "reason", reason, "error", raised, "message", message,
                "fingerprint", fingerprint
            )
        else
            events.of_job(name, job, attempt, "node", node, "reason", state == "x" and reason)
        end
    end
end
