-- How many jobs match, by the state shown.
-- What the filter names
SELECT json_group_object(shown, number)
FROM (
    SELECT
-- include shown
        AS shown,
        count(*) AS number
    FROM backburner_jobs
    WHERE
-- include filter
    GROUP BY 1
)
