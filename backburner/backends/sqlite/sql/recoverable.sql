-- The claims of dead nodes, then what has expired: as the recoveries they will be, and their seqs.
-- :nodes JSON: dead nodes · :now · :limit
SELECT
    json_group_array(json_object(
        'claim', json_array(
            id, kind, queue, args, priority, attempt, failures, crashes, interruptions, token + 1, timeout, retry,
            backoff, created_at, due_at, expires_at, :now, gate, headers, checkpoint, json(lanes)),
        'cause', coalesce(recovered_cause, iif(state = 'running', 'lapsed', 'expired')),
        'node', iif(recovered_cause IS NULL, iif(state = 'running', node, NULL), recovered_node),
        'cancel', json(iif(cancel, 'true', 'false')))),
    json_group_array(seq)
FROM (
    SELECT * FROM (
        SELECT * FROM backburner_jobs
        WHERE state = 'running' AND node IN (SELECT value FROM json_each(:nodes))
        LIMIT :limit
    )
    UNION ALL
    SELECT * FROM (
        SELECT * FROM backburner_jobs
        WHERE state = 'pending' AND expires_at <= :now
        ORDER BY expires_at
        LIMIT :limit
    )
    LIMIT :limit
)
