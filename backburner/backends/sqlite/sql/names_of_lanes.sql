-- The next lanes, by name, where jobs stand: one probe a lane, however many stand there.
-- :after a lane · :limit
WITH RECURSIVE gates (gate) AS (
    SELECT min(gate) FROM backburner_jobs INDEXED BY backburner_jobs_in_lanes
    WHERE state = 'pending' AND gate > 'lane:' || :after AND gate >= 'lane:' AND gate < 'lane;'
    UNION ALL
    SELECT (
        SELECT min(gate) FROM backburner_jobs INDEXED BY backburner_jobs_in_lanes
        WHERE state = 'pending' AND gate > gates.gate AND gate >= 'lane:' AND gate < 'lane;')
    FROM gates WHERE gates.gate IS NOT NULL
    LIMIT :limit
)
SELECT json_group_array(substr(gate, length('lane:') + 1)) FROM gates WHERE gate IS NOT NULL
