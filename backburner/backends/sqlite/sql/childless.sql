-- Those of these jobs that have no children, at most :limit: first those whose parents are not stored, then the others.
-- :seqs (JSON) · :limit
SELECT json_group_array(seq) FILTER (WHERE NOT kept), json_group_array(seq) FILTER (WHERE kept)
FROM (
    SELECT job.seq, EXISTS (SELECT 1 FROM backburner_jobs WHERE id = job.parent) AS kept
    FROM json_each(:seqs) AS asked
    CROSS JOIN backburner_jobs AS job ON job.seq = asked.value
    WHERE NOT EXISTS (SELECT 1 FROM backburner_jobs WHERE parent = job.id AND parent IS NOT NULL)
    LIMIT :limit
)
