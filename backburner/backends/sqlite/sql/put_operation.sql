-- Enter an operation, unless its id is there.
-- :id · :action · :active · :set_by who asked for it · :reason · :state · :now
INSERT OR IGNORE INTO backburner_operations (
    id, action, active, version, done, kept, missed, created_at, changed_at, set_by, reason, state
)
VALUES (:id, :action, :active, 1, 0, 0, 0, :now, :now, :set_by, :reason, :state)
