-- Write a queue's settings, in place of those before.
-- ?1 name · ?2 paused · ?3 paused_until · ?4 reason · ?5 who set it · ?6 slots
INSERT OR REPLACE INTO backburner_queues (name, paused, paused_until, reason, set_by, slots)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
