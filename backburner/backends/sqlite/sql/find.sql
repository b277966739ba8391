-- The jobs that match, by id descending, below :after.
-- :after · :limit, and what the filter names
SELECT json_group_array(
-- include record
)
FROM (
    SELECT * FROM backburner_jobs
    WHERE (:after IS NULL OR id < :after) AND
-- include filter
    ORDER BY id DESC
    LIMIT :limit
)
