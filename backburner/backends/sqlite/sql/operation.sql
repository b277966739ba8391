        json_object(
            'id', id, 'action', action, 'state', state, 'active', json(iif(active, 'true', 'false')),
            'version', version, 'done', done, 'kept', kept, 'missed', missed, 'by', set_by, 'reason', reason,
            'created_at', created_at, 'changed_at', changed_at)
