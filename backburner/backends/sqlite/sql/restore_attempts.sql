-- Write the history of jobs that were stored in the same step, oldest first.
-- :attempts JSON: [id, attempt, ending, node, started_at, ended_at, error, message, fingerprint, traceback] an attempt
INSERT INTO backburner_attempts (
    job, attempt, ending, node, started_at, ended_at, error, message, fingerprint, traceback
)
SELECT
    (SELECT seq FROM backburner_jobs WHERE id = value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4,
    value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9
FROM json_each(:attempts)
