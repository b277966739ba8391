-- Enter a node; entered again, its queues and kinds change.
-- ?1 id · ?2 host · ?3 pid · ?4 started_at · ?5 JSON: slots by queue · ?6 JSON: kinds
INSERT INTO backburner_nodes (id, host, pid, started_at, queues, kinds) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (id) DO UPDATE SET
    host = excluded.host, pid = excluded.pid, started_at = excluded.started_at, queues = excluded.queues,
    kinds = excluded.kinds
