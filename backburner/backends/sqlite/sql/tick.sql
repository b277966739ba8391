        json_array(id, schedule, tick, last, count, outcome, reason, job, due_at, at, set_by, note)
