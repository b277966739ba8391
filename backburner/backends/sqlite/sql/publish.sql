-- Enter a node; entered again, its queues, kinds, signatures and schedules change.
-- :id · :host · :pid · :started_at · :queues JSON: slots by queue · :kinds (JSON) · :signatures JSON:
-- texts by kind · :schedules (JSON)
INSERT INTO backburner_nodes (id, host, pid, started_at, queues, kinds, signatures, schedules)
VALUES (:id, :host, :pid, :started_at, :queues, :kinds, :signatures, :schedules)
ON CONFLICT (id) DO UPDATE SET
    host = excluded.host, pid = excluded.pid, started_at = excluded.started_at, queues = excluded.queues,
    kinds = excluded.kinds, signatures = excluded.signatures, schedules = excluded.schedules
