-- How many dead letters match.
-- What the filter names
SELECT json_object('dead', count(*))
FROM backburner_jobs INDEXED BY backburner_jobs_failures
WHERE state = 'dead' AND /* filter */ TRUE
