-- Write a queue's settings, in place of those before.
-- :name · :paused · :paused_until · :reason · :set_by who set it · :slots
INSERT OR REPLACE INTO backburner_queues (name, paused, paused_until, reason, set_by, slots)
VALUES (:name, :paused, :paused_until, :reason, :set_by, :slots)
