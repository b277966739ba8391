-- Whether anybody stands at the gate of a unique key.
SELECT EXISTS (
    SELECT 1 FROM backburner_jobs INDEXED BY backburner_jobs_parked
    WHERE state = 'pending' AND gate >= 'unique:' AND gate < 'unique;'
)
