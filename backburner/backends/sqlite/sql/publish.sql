-- Enter a node; entered again, its queues and kinds change.
-- :id · :host · :pid · :started_at · :queues JSON: slots by queue · :kinds (JSON)
INSERT INTO backburner_nodes (id, host, pid, started_at, queues, kinds)
VALUES (:id, :host, :pid, :started_at, :queues, :kinds)
ON CONFLICT (id) DO UPDATE SET
    host = excluded.host, pid = excluded.pid, started_at = excluded.started_at, queues = excluded.queues,
    kinds = excluded.kinds
