-- The dead letters that match, by id descending, from where a page ended: all pages together cost one walk.
-- :limit, and what the filter names
SELECT json_group_array(
-- include record
)
FROM (
    SELECT * FROM backburner_jobs INDEXED BY backburner_jobs_letters
    WHERE state = 'dead' AND /* filter */ TRUE
    ORDER BY id DESC
    LIMIT :limit
)
