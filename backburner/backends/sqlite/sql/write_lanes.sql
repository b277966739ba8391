-- Write how lanes stand after a claim.
-- :lanes JSON: [lane, mark, count, previous, metered, full_at, opens_at] a lane
INSERT OR REPLACE INTO backburner_lanes (name, mark, count, previous, metered, full_at, opens_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6 FROM json_each(:lanes)
