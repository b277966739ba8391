-- Write when lanes open again; one where nobody stands any more does not.
-- :lanes JSON: [lane, moment] a lane
UPDATE backburner_lanes AS asked
SET opens_at = iif(
-- include in_lane
    , shut.moment, NULL)
FROM (SELECT value ->> 0 AS lane, value ->> 1 AS moment FROM json_each(:lanes)) AS shut
WHERE asked.name = shut.lane
