-- Let a kind go on.
-- :name
DELETE FROM backburner_kinds WHERE name = :name
