-- The attempts of a job that did not complete, oldest first.
-- :id
SELECT json_group_array(json_object(
    'attempt', attempt, 'ending', ending, 'node', node, 'started_at', started_at, 'ended_at', ended_at,
    'error', error, 'message', message, 'traceback', traceback, 'fingerprint', fingerprint))
FROM (
    SELECT * FROM backburner_attempts
    WHERE job = (SELECT seq FROM backburner_jobs WHERE id = :id)
    ORDER BY seq
)
