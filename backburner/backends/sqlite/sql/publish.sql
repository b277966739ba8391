-- Enter a node; entered again, its all but its drain changes, and it is not lost.
-- :id · :host · :pid · :started_at · :queues JSON: slots by queue · :kinds (JSON) · :signatures JSON:
-- texts by kind · :kind_queues JSON: queue by kind · :schedules (JSON)
INSERT INTO backburner_nodes (id, host, pid, started_at, queues, kinds, signatures, kind_queues, schedules)
VALUES (:id, :host, :pid, :started_at, :queues, :kinds, :signatures, :kind_queues, :schedules)
ON CONFLICT (id) DO UPDATE SET
    host = excluded.host, pid = excluded.pid, started_at = excluded.started_at, queues = excluded.queues,
    kinds = excluded.kinds, signatures = excluded.signatures, kind_queues = excluded.kind_queues,
    schedules = excluded.schedules, lost = 0
