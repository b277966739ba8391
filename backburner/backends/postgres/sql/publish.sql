-- Enter a node, alive for so long; entered again, all but its drain changes.
-- $1 now · $2 id · $3 host · $4 pid · $5 started_at · $6 JSON: slots by queue · $7 kinds
-- $8 JSON: signatures · $9 JSON: queues by kind · $10 schedules · $11 for how long · $12 a document for `append`, if it is new, or
-- NULL
WITH
-- include clock
, entered AS (
    INSERT INTO {schema}.nodes (id, host, pid, started_at, queues, kinds, signatures, kind_queues, schedules, lease_until)
    SELECT $2, $3, $4, $5, $6, $7::text[], $8, $9, $10::text[], now + $11 FROM clock
    ON CONFLICT (id) DO UPDATE SET
        host = excluded.host, pid = excluded.pid, started_at = excluded.started_at, queues = excluded.queues,
        kinds = excluded.kinds, signatures = excluded.signatures, kind_queues = excluded.kind_queues,
        schedules = excluded.schedules, lease_until = excluded.lease_until, lost = false
    RETURNING true
)
SELECT CASE
    -- The statement does not see what it enters.
    WHEN $12::text IS NOT NULL AND NOT EXISTS (SELECT FROM {schema}.nodes WHERE id = $2)
    THEN {schema}.append($12::text::json)::text END
FROM entered
