-- Delete leases that are over, of one name or of all, but for those whose tokens the next one's would not be above by
-- time alone.
-- :name · :now
DELETE FROM backburner_leases WHERE (:name IS NULL OR name = :name) AND until <= :now AND token < :now
