-- Pause a kind, in place of the pause before.
-- :name · :paused_until · :reason · :set_by who set it
INSERT OR REPLACE INTO backburner_kinds (name, paused_until, reason, set_by)
VALUES (:name, :paused_until, :reason, :set_by)
