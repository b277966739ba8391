-- Delete a limit.
-- :name
DELETE FROM backburner_limits WHERE name = :name
