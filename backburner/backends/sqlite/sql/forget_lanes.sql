-- Delete those of these lanes that nobody uses any more.
-- :lanes (JSON) · :now
DELETE FROM backburner_lanes AS asked
WHERE name IN (SELECT value FROM json_each(:lanes)) AND full_at <= :now AND NOT
-- include in_lane
