-- Letters, and the operation they are disposed of for. Included after tables, by replay and purge.
--
-- ARGV: now, the operation (msgpack: id, version, state, active; empty: none), then of each letter its id, its token, and
-- what else it says (msgpack, by the names of its fields; empty: nothing). Answers: now, 1 if the operation's version is
-- another, and of those letters that were not done their places from 0, and after each "" (missed), or the id it is kept for.
-- include operating

-- The run of a letter, if it is dead under that token.
local function dead_run(id, token)
    local value = redis.call("HGET", RUNS, id)
    return value and byte(value) == 100 and sub(value, 21, 28) == token and run_of(value)
end

-- Dispose of all letters by a function of id, token and what else is said, which returns nothing where it has.
local function dispose(how)
    local operation = ARGV[2] ~= "" and next_of(cmsgpack.unpack(ARGV[2]))
    if ARGV[2] ~= "" and not operation then
        return { NOW8, 1 }
    end
    local answer = { NOW8, 0 }
    local done, kept, missed = 0, 0, 0
    for at = 3, #ARGV, 3 do
        local found = how(ARGV[at], ARGV[at + 1], ARGV[at + 2] ~= "" and cmsgpack.unpack(ARGV[at + 2]) or {})
        if found then
            answer[#answer + 1] = (at - 3) / 3
            answer[#answer + 1] = found
        end
        if not found then
            done = done + 1
        elseif found == "" then
            missed = missed + 1
        else
            kept = kept + 1
        end
    end
    flush()
    if operation then
        operation.done, operation.kept = operation.done + done, operation.kept + kept
        operation.missed = operation.missed + missed
        keep_operation(operation, NOW)
    end
    return answer
end
