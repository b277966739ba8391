        EXISTS (
            SELECT 1 FROM backburner_jobs INDEXED BY backburner_jobs_in_lanes
            WHERE state = 'pending' AND gate = 'lane:' || asked.name AND gate >= 'lane:' AND gate < 'lane;')
