-- The jobs that run or wait and match, by id descending: found by the indexes of those, beside which any number may have
-- ended, and sorted.
-- :limit, what the filter names, and where to look, true or false: at what :runs; at the :line, of what is due after
-- :earliest and up to :latest; or in it only at what is there :again
SELECT json_group_array(
-- include record
)
FROM (
    SELECT * FROM backburner_jobs
    WHERE seq IN (
        SELECT seq FROM (
            SELECT seq, id FROM backburner_jobs INDEXED BY backburner_jobs_held
            WHERE :runs AND state = 'running' AND /* filter */ TRUE
            UNION ALL
            SELECT seq, id FROM backburner_jobs INDEXED BY backburner_jobs_line
            WHERE :line AND state = 'pending' AND due_at > :earliest AND due_at <= :latest AND /* filter */ TRUE
            UNION ALL
            SELECT seq, id FROM backburner_jobs INDEXED BY backburner_jobs_retrying
            WHERE :again AND state = 'pending' AND gate = '' AND failures > 0 AND /* filter */ TRUE
            UNION ALL
            SELECT seq, id FROM backburner_jobs INDEXED BY backburner_jobs_line
            WHERE :again AND state = 'pending' AND gate > '' AND failures > 0 AND /* filter */ TRUE
        )
        ORDER BY id DESC
        LIMIT :limit
    )
    ORDER BY id DESC
)
