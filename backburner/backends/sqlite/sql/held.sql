-- What a node holds.
-- :node
SELECT json_group_array(json_object('id', id, 'token', token, 'cancel', json(iif(cancel, 'true', 'false'))))
FROM backburner_jobs
WHERE state = 'running' AND node = :node
