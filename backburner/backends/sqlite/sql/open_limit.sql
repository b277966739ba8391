-- Have the next claim open all lanes of a limit where jobs stand.
-- :limit its name · :now
UPDATE backburner_lanes AS asked SET opens_at = :now
WHERE (name = :limit OR (name >= :limit || '/' AND name < :limit || '0')) AND
-- include in_lane
