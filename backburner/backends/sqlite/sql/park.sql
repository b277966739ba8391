-- Park jobs.
-- :jobs JSON: [seq, gate] a job
WITH parked (seq, gate) AS MATERIALIZED (SELECT value ->> 0, value ->> 1 FROM json_each(:jobs))
UPDATE backburner_jobs AS job SET gate = parked.gate FROM parked WHERE job.seq = parked.seq
