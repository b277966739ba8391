-- Children of these jobs, at most :limit.
-- :seqs (JSON) · :limit
SELECT json_group_array(seq) FROM (
    SELECT child.seq
    FROM json_each(:seqs) AS asked
    CROSS JOIN backburner_jobs AS job ON job.seq = asked.value
    CROSS JOIN backburner_jobs AS child ON child.parent = job.id AND child.parent IS NOT NULL
    LIMIT :limit
)
