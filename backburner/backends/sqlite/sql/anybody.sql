-- Whether anybody stands at the gate of a unique key, and whether any run counts against the slots of a lane.
SELECT
    EXISTS (
        SELECT 1 FROM backburner_jobs INDEXED BY backburner_jobs_parked
        WHERE state = 'pending' AND gate >= 'unique:' AND gate < 'unique;'
    ),
    EXISTS (SELECT 1 FROM backburner_held)
