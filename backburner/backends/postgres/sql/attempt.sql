        json_build_object(
            'attempt', attempt, 'ending', ending, 'node', node, 'started_at', started_at, 'ended_at', ended_at,
            'error', error, 'message', message, 'traceback', traceback, 'fingerprint', fingerprint)
