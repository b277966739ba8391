-- Add lines to ledgers, but for those whose ids are there.
-- :ticks JSON: [id, schedule, tick, last, count, outcome, reason, job, due_at, at, set_by, note] a line
INSERT INTO backburner_ticks (id, schedule, tick, last, count, outcome, reason, job, due_at, at, set_by, note)
SELECT
    value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11
FROM json_each(:ticks)
WHERE TRUE
ON CONFLICT (id) DO NOTHING
