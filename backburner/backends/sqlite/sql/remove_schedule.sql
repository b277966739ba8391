-- Delete a schedule of the version given.
-- :name · :version
DELETE FROM backburner_schedules WHERE name = :name AND version = :version
