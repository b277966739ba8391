-- Schedules and their ledgers. Included by what writes them; the last of KEYS are the seven named here.
--
-- Hashes: schedules, by name; ticks, the lines of the ledgers, by id. Sorted sets, by score: coming (name, when it is due),
-- aging (id and schedule, when the line was written). All others in byte order; NULs stand between:
--   named   name           every schedule
--   ledger  id             every line
--   lines   schedule id    the lines of a schedule, whether there still is one of that name or not
--
-- A schedule's value: version, created_at, changed_at (8 bytes each), and msgpack: [last_job, all of the record], of which
-- the record's own of these four do not count. A line's value: when it was written (8 bytes), and msgpack:
-- [[outcome, reason, job], the rest]. What is written of either by ticking.py is never read here.

local SCHEDULES, NAMED, COMING, TICKS, LEDGER, LINES, AGING = unpack(KEYS, #KEYS - 6)
