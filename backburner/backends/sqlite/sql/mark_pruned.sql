-- Note up to which number events were deleted.
-- :upto
UPDATE backburner_log SET pruned = :upto
