-- The first dead letters that match, by id descending: found by how they failed, of which there may be very many, and
-- only those that are told of are read.
-- :limit, and what the filter names
SELECT json_group_array(
-- include record
)
FROM (
    SELECT * FROM backburner_jobs
    WHERE seq IN (
        SELECT seq FROM backburner_jobs INDEXED BY backburner_jobs_failures
        WHERE state = 'dead' AND /* filter */ TRUE
        ORDER BY id DESC
        LIMIT :limit
    )
    ORDER BY id DESC
)
