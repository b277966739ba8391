-- The next unique keys, in their order, at whose gates anybody stands: one probe a key, however many stand there.
-- :after a key · :limit
WITH RECURSIVE gates (gate) AS (
    SELECT min(gate) FROM backburner_jobs INDEXED BY backburner_jobs_parked
    WHERE state = 'pending' AND gate > 'unique:' || :after AND gate >= 'unique:' AND gate < 'unique;'
    UNION ALL
    SELECT (
        SELECT min(gate) FROM backburner_jobs INDEXED BY backburner_jobs_parked
        WHERE state = 'pending' AND gate > gates.gate AND gate >= 'unique:' AND gate < 'unique;')
    FROM gates WHERE gates.gate IS NOT NULL
    LIMIT :limit
)
SELECT json_group_array(substr(gate, length('unique:') + 1)) FROM gates WHERE gate IS NOT NULL
