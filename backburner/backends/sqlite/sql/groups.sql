-- The dead letters that match by how they failed, the largest groups first, each with the newest of its letters.
-- :limit, and what the filter names
WITH
    -- One walk of the index, in its order.
    parts (cause, sort, number, begins, ends) AS MATERIALIZED (
        SELECT fingerprint, kind, count(*), min(ended_at), max(ended_at)
        FROM backburner_jobs INDEXED BY backburner_jobs_failures
        WHERE state = 'dead' AND /* filter */ TRUE
        GROUP BY fingerprint, kind
    ),
    largest (cause, number, begins, ends, sorts) AS MATERIALIZED (
        SELECT cause, sum(number), min(begins), max(ends), json_group_object(sort, number)
        FROM parts GROUP BY cause ORDER BY 2 DESC, 1 LIMIT :limit
    ),
    samples (cause, sample) AS MATERIALIZED (
        SELECT largest.cause, max(id)
        FROM largest
        CROSS JOIN parts ON parts.cause = largest.cause AND parts.ends = largest.ends
        CROSS JOIN backburner_jobs INDEXED BY backburner_jobs_failures
            ON fingerprint = parts.cause AND kind = parts.sort AND ended_at = parts.ends AND state = 'dead'
        WHERE /* filter */ TRUE
        GROUP BY largest.cause
    )
SELECT json_group_array(json_object(
    'fingerprint', cause, 'error', error, 'message', message, 'reason', reason, 'count', number, 'first', begins,
    'last', ends, 'kinds', json(sorts), 'sample', sample))
FROM (
    SELECT largest.*, sample, error, message, reason FROM largest
    CROSS JOIN samples ON samples.cause = largest.cause
    CROSS JOIN backburner_jobs AS newest ON newest.id = samples.sample
    ORDER BY largest.number DESC, largest.cause
)
