-- Delete lines of ledgers that were written as long ago as this, the oldest first.
-- :before · :limit
DELETE FROM backburner_ticks
WHERE id IN (SELECT id FROM backburner_ticks WHERE at <= :before ORDER BY at LIMIT :limit)
