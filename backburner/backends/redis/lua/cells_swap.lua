-- Write a cell if its version is the one given, and declare a limit of its name with it. KEYS: those of tables, and cells.
-- ARGV: now, name, value, version, limit (JSON; empty: none), channel, hint, events. Answers: now, 1 if it was written,
-- and as limits_declare. A cell is kept as its version, in digits, a NUL and its value.
-- include tables
-- include lanes
-- include limiting

local CELLS = KEYS[31]

local value = redis.call("HGET", CELLS, ARGV[2])
local version = value and string.match(value, "^%d+") or "0"
if version ~= ARGV[4] then
    return { NOW8, 0, {} }
end
even_if_full(LINE)
redis.call("HSET", CELLS, ARGV[2], string.format("%.0f", version + 1) .. "\0" .. ARGV[3])
local last
if ARGV[5] ~= "" then
    last = declare(ARGV[2], ARGV[5])
end
events.add_all(ARGV[8])
events.write()
if changed then
    tell(ARGV[6], ARGV[7])
end
return { NOW8, 1, last and { ARGV[2], last } or {} }
