            SELECT seq FROM backburner_jobs INDEXED BY backburner_jobs_in_lanes
            WHERE state = 'pending' AND gate = asked.gate AND gate >= 'lane:' AND gate < 'lane;'
