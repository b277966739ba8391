-- Hand recovered jobs to a node, to be settled; what it lapsed on is kept from the first time.
-- :seqs (JSON) · :node
UPDATE backburner_jobs
SET recovered_cause = coalesce(recovered_cause, iif(state = 'running', 'lapsed', 'expired')),
    recovered_node = iif(recovered_cause IS NULL, iif(state = 'running', node, NULL), recovered_node),
    state = 'running', gate = '', token = token + 1, node = :node, lent = 0
WHERE seq IN (SELECT value FROM json_each(:seqs))
