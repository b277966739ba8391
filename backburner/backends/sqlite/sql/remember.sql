-- Keep in the history what is left of attempts that did not complete; the jobs still stand as they were claimed.
-- :attempts JSON: [id, ending, error, message, fingerprint, traceback] an attempt · :now
INSERT INTO backburner_attempts (
    job, attempt, ending, node, started_at, ended_at, error, message, fingerprint, traceback
)
SELECT
    job.seq, job.attempt, ended.value ->> 1, coalesce(job.recovered_node, job.node),
    coalesce(job.started_at, :now), :now, ended.value ->> 2, ended.value ->> 3, ended.value ->> 4, ended.value ->> 5
FROM json_each(:attempts) AS ended
CROSS JOIN backburner_jobs AS job ON job.id = ended.value ->> 0
