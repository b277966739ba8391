        json_array(
            name, version, kind, rule, job, json(iif(declared, 'true', 'false')), json(iif(retired, 'true', 'false')),
            next_tick, due_at, last_tick, fired_at, last_job, json(iif(paused, 'true', 'false')), paused_until, reason,
            set_by, created_at, changed_at)
