-- Every node, by id.
SELECT json_group_array(json_object(
    'id', id, 'host', host, 'pid', pid, 'started_at', started_at, 'queues', json(queues), 'kinds', json(kinds),
    'signatures', json(signatures), 'kind_queues', json(kind_queues), 'schedules', json(schedules), 'draining', json(iif(drain, 'true', 'false'))))
FROM (SELECT * FROM backburner_nodes ORDER BY id)
