-- Enter a node; entered again, its queues, kinds and signatures change.
-- :id · :host · :pid · :started_at · :queues JSON: slots by queue · :kinds (JSON) · :signatures JSON:
-- texts by kind
INSERT INTO backburner_nodes (id, host, pid, started_at, queues, kinds, signatures)
VALUES (:id, :host, :pid, :started_at, :queues, :kinds, :signatures)
ON CONFLICT (id) DO UPDATE SET
    host = excluded.host, pid = excluded.pid, started_at = excluded.started_at, queues = excluded.queues,
    kinds = excluded.kinds, signatures = excluded.signatures
