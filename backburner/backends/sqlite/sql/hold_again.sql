-- Count runs against the slots of their lanes, of those that have slots now.
-- :ids (JSON)
INSERT OR IGNORE INTO backburner_held (lane, job)
SELECT asked.name, asked.id
FROM (
    SELECT lane.value AS name, job.id
    FROM json_each(:ids) AS run
    CROSS JOIN backburner_jobs AS job ON job.id = run.value
    CROSS JOIN json_each(job.lanes) AS lane
) AS asked
WHERE
-- include limit_of
    ->> 'slots' IS NOT NULL
