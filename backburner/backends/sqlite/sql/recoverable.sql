-- The claims of dead nodes, then what has expired: as the recoveries they will be, and their seqs.
-- ?1 JSON: dead nodes · ?2 now · ?3 limit
SELECT
    json_group_array(json_object(
        'claim', json_array(
            id, kind, queue, args, priority, attempt, failures, crashes, interruptions, token + 1, timeout, retry,
            backoff, created_at, due_at, expires_at, ?2),
        'cause', coalesce(recovered_cause, iif(state = 'running', 'lapsed', 'expired')),
        'node', iif(recovered_cause IS NULL, iif(state = 'running', node, NULL), recovered_node),
        'cancel', json(iif(cancel, 'true', 'false')))),
    json_group_array(seq)
FROM (
    SELECT * FROM (
        SELECT * FROM backburner_jobs
        WHERE state = 'running' AND node IN (SELECT value FROM json_each(?1))
        LIMIT ?3
    )
    UNION ALL
    SELECT * FROM (
        SELECT * FROM backburner_jobs
        WHERE state = 'pending' AND expires_at <= ?2
        ORDER BY expires_at
        LIMIT ?3
    )
    LIMIT ?3
)
