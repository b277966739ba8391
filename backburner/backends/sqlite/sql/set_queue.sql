-- Write a queue's settings, in place of those before; the use of a rate stays.
-- :name · :paused · :paused_until · :reason · :set_by who set it · :slots · :rate (JSON)
INSERT INTO backburner_queues (name, paused, paused_until, reason, set_by, slots, rate)
VALUES (:name, :paused, :paused_until, :reason, :set_by, :slots, :rate)
ON CONFLICT (name) DO UPDATE SET
    paused = excluded.paused, paused_until = excluded.paused_until, reason = excluded.reason, set_by = excluded.set_by,
    slots = excluded.slots, rate = excluded.rate
