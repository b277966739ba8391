-- Write how far an operation has come, over the version given.
-- :id · :version · :active · :state · :done · :kept · :missed each: how many more · :now
UPDATE backburner_operations
SET version = version + 1, active = :active, state = :state, changed_at = :now,
    done = done + :done, kept = kept + :kept, missed = missed + :missed
WHERE id = :id AND version = :version
