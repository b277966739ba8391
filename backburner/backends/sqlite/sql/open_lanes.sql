-- Have the next claim open these lanes.
-- :lanes (JSON) · :now
INSERT INTO backburner_lanes (name, opens_at)
SELECT value, :now FROM json_each(:lanes) WHERE TRUE
ON CONFLICT (name) DO UPDATE SET opens_at = :now
