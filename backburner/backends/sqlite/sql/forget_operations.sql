-- Delete operations that ended as long ago as this; NULL keeps them for ever.
-- :before · :limit
DELETE FROM backburner_operations
WHERE id IN (SELECT id FROM backburner_operations WHERE NOT active AND changed_at <= :before LIMIT :limit)
