-- What a node holds, and whether it was asked to drain.
-- :node
SELECT
    json_group_array(json_object('id', id, 'token', token, 'cancel', json(iif(cancel, 'true', 'false')))),
    (SELECT drain FROM backburner_nodes WHERE id = :node)
FROM backburner_jobs
WHERE state = 'running' AND node = :node
