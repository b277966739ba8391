        json_array(
            id, kind, queue, state, gate, priority, args, result, reason, json(tags), attempt, failures, crashes,
            interruptions, token, node, json(iif(cancel, 'true', 'false')), timeout, retry, backoff, created_at, due_at,
            expires_at, started_at, ended_at, error, message, fingerprint, headers, parent, unique_key,
            checkpoint, done, total, json(lanes))
