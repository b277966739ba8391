        (SELECT seq FROM backburner_jobs INDEXED BY backburner_jobs_parked
         WHERE state = 'pending' AND gate = 'unique:' || asked.key AND gate >= 'unique:' AND gate < 'unique;'
         ORDER BY priority, due_at, id
         LIMIT 1)
