-- The dead letters that match, by the fingerprint of their last failure, most first.
-- $1 now · $2 at most so many groups · {jobs} what is looked through · {where} what the filter names, from $3 on
WITH
-- include clock
, counted AS (
    SELECT fingerprint, kind, count(*) AS number, min(ended_at) AS first, max(ended_at) AS last
    FROM {jobs}
    WHERE {where}
    GROUP BY fingerprint, kind
),
largest AS (
    SELECT fingerprint, sum(number)::bigint AS number, min(first) AS first, max(last) AS last,
        json_object_agg(kind, number ORDER BY kind) AS kinds
    FROM counted GROUP BY fingerprint ORDER BY number DESC, fingerprint LIMIT $2
)
SELECT json_build_object('now', (SELECT now FROM clock), 'groups', coalesce(json_agg(json_build_object(
    'fingerprint', g.fingerprint, 'error', sample.error, 'message', sample.message, 'reason', sample.reason,
    'count', g.number, 'first', g.first, 'last', g.last, 'kinds', g.kinds, 'sample', sample.id
    ) ORDER BY g.number DESC, g.fingerprint), '[]'))::text
FROM largest AS g
CROSS JOIN LATERAL (
    SELECT id, error, message, reason FROM {schema}.jobs
    WHERE {where} AND fingerprint = g.fingerprint AND ended_at = g.last
    ORDER BY ended_at DESC, id DESC LIMIT 1
) AS sample
