-- Of how many jobs that wait an index alone cannot tell whether they match, up to :crowd.
-- :crowd, what the filter names of what the index has, and where to look, as in find_standing.sql
SELECT count(*)
FROM (
    SELECT 1 FROM backburner_jobs INDEXED BY backburner_jobs_line
    WHERE :line AND state = 'pending' AND due_at > :earliest AND due_at <= :latest AND /* filter */ TRUE
    UNION ALL
    SELECT 1 FROM backburner_jobs INDEXED BY backburner_jobs_retrying
    WHERE :again AND state = 'pending' AND gate = '' AND failures > 0 AND /* filter */ TRUE
    UNION ALL
    SELECT 1 FROM backburner_jobs INDEXED BY backburner_jobs_line
    WHERE :again AND state = 'pending' AND gate > '' AND /* filter */ TRUE
    LIMIT :crowd
)
