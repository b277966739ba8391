        json_build_array(
            id, kind, queue, state, gate, priority, args, result, reason, tags, attempt, failures, crashes, interruptions,
            token, node, cancel_reason IS NOT NULL, timeout, retry, backoff, created_at, due_at, expires_at, started_at,
            ended_at, error, message, fingerprint, headers, parent, unique_key, checkpoint, done, total,
            coalesce(lanes, '{}'))
