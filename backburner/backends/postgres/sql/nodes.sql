-- The nodes, each alive or not, by id.
-- $1 now
WITH
-- include clock
SELECT coalesce(json_agg(json_build_object(
    'id', id, 'host', host, 'pid', pid, 'started_at', started_at, 'queues', queues::json, 'kinds', kinds,
    'signatures', signatures::json, 'kind_queues', kind_queues::json, 'schedules', schedules,
    'alive', lease_until > now, 'draining', drain) ORDER BY id), '[]')::text
FROM {schema}.nodes, clock
