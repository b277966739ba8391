        json_build_object(
            'id', id, 'action', action, 'state', state, 'active', active, 'version', version, 'done', done, 'kept', kept,
            'missed', missed, 'by', asked_by, 'reason', reason, 'created_at', created_at, 'changed_at', changed_at)
