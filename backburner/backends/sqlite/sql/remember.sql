-- Keep in the history what is left of attempts that did not complete; the jobs still stand as they were claimed.
-- ?1 JSON: [id, ending, error, message, fingerprint, traceback] an attempt · ?2 now
INSERT INTO backburner_attempts (
    job, attempt, ending, node, started_at, ended_at, error, message, fingerprint, traceback
)
SELECT
    job.seq, job.attempt, ended.value ->> 1, coalesce(job.recovered_node, job.node),
    coalesce(job.started_at, ?2), ?2, ended.value ->> 2, ended.value ->> 3, ended.value ->> 4, ended.value ->> 5
FROM json_each(?1) AS ended
CROSS JOIN backburner_jobs AS job ON job.id = ended.value ->> 0
