-- Forget what was used of a limit's rate, if that is another now.
-- :limit its name · :metered
UPDATE backburner_lanes SET mark = 0, count = 0, previous = 0, metered = NULL, full_at = 0
WHERE (name = :limit OR (name >= :limit || '/' AND name < :limit || '0')) AND metered <> :metered
