-- The jobs that match, by id descending, below :after.
-- :after · :limit, and what the filter names
SELECT json_group_array(
-- include record
)
FROM (
    SELECT * FROM backburner_jobs
    -- A blob is above every text. An alternative would be no bound to the index of ids.
    WHERE id < coalesce(:after, x'') AND
-- include filter
    ORDER BY id DESC
    LIMIT :limit
)
