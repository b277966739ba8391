-- The schedules that are due, the earliest first; the names of those whose last job has not ended; and when the first is
-- due that is not due yet.
-- :now · :limit
SELECT
    json_group_array(
-- include schedule
    ),
    json_group_array(name) FILTER (WHERE EXISTS (
        SELECT 1 FROM backburner_jobs WHERE id = asked.last_job AND ended_at IS NULL)),
    (SELECT due_at FROM backburner_schedules WHERE due_at > :now AND due_at IS NOT NULL ORDER BY due_at LIMIT 1)
FROM (
    SELECT * FROM backburner_schedules
    WHERE due_at <= :now AND due_at IS NOT NULL
    ORDER BY due_at, name
    LIMIT :limit
) AS asked
