-- Write schedules, new ones and others; those keep when they were made.
-- :now · :schedules JSON: [name, version, kind, declared, retired, next_tick, due_at, last_tick, fired_at, last_job,
-- paused, paused_until, reason, set_by, rule, job] a schedule
INSERT INTO backburner_schedules (
    created_at, changed_at, name, version, kind, declared, retired, next_tick, due_at, last_tick, fired_at, last_job,
    paused, paused_until, reason, set_by, rule, job
)
SELECT
    :now, :now, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15
FROM json_each(:schedules)
WHERE TRUE
ON CONFLICT (name) DO UPDATE SET
    changed_at = excluded.changed_at, version = excluded.version, kind = excluded.kind, declared = excluded.declared,
    retired = excluded.retired, next_tick = excluded.next_tick, due_at = excluded.due_at,
    last_tick = excluded.last_tick, fired_at = excluded.fired_at, last_job = excluded.last_job,
    paused = excluded.paused, paused_until = excluded.paused_until, reason = excluded.reason,
    set_by = excluded.set_by, rule = excluded.rule, job = excluded.job
