-- The whole jobs that match, by id ascending: each its record, the terms of its unique key, why it is asked to be
-- cancelled, its attempts.
-- :after · :limit, and what the filter names
SELECT json_group_array(json_object(
    'record',
-- include record
    , 'unique_states', json(coalesce(unique_states, '[]')), 'unique_until', unique_until,
    'asked', iif(state = 'running' AND cancel, cancel_reason, NULL),
    'history', (
        SELECT json_group_array(
-- include attempt
        )
        FROM (SELECT * FROM backburner_attempts WHERE job = exported.seq ORDER BY seq)
    )
))
FROM (
    SELECT * FROM backburner_jobs
    WHERE /* filter */ TRUE
    ORDER BY id
    LIMIT :limit
) AS exported
