-- The attempts of a job that did not complete, oldest first.
-- :id
SELECT json_group_array(
-- include attempt
)
FROM (
    SELECT * FROM backburner_attempts
    WHERE job = (SELECT seq FROM backburner_jobs WHERE id = :id)
    ORDER BY seq
)
