-- The jobs that match, by id descending.
-- :limit, and what the filter names
SELECT json_group_array(
-- include record
)
FROM (
    SELECT * FROM backburner_jobs
    WHERE /* filter */ TRUE
    ORDER BY id DESC
    LIMIT :limit
)
