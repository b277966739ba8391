-- What each queue holds: {"now"}. Every part is counted by an index of what it counts. Answers what the port answers.
CREATE OR REPLACE FUNCTION {schema}.backlog(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    moment bigint := instant((document ->> 'now')::bigint);
    answer json;
BEGIN
    WITH pending AS MATERIALIZED (
        SELECT queue, gate, due_at <= moment AS due, count(*) AS number, min(due_at) AS oldest
        FROM jobs WHERE state = 'pending' GROUP BY 1, 2, 3
    ), parts (queue, waiting, oldest, later, retrying, held, running, dead) AS (
        SELECT
            queue, sum(number) FILTER (WHERE gate = '' AND due), min(oldest) FILTER (WHERE gate = '' AND due),
            sum(number) FILTER (WHERE gate = '' AND NOT due), 0, sum(number) FILTER (WHERE gate <> ''), 0, 0
        FROM pending GROUP BY queue
        UNION ALL
        SELECT queue, 0, NULL, 0, count(*), 0, 0, 0 FROM jobs
        WHERE state = 'pending' AND gate = '' AND failures > 0 AND due_at > moment GROUP BY queue
        UNION ALL
        SELECT queue, 0, NULL, 0, 0, 0, count(*), 0 FROM jobs WHERE state = 'running' GROUP BY queue
        UNION ALL
        SELECT queue, 0, NULL, 0, 0, 0, 0, count(*) FROM jobs WHERE state = 'dead' GROUP BY queue
    ), summed AS (
        SELECT
            queue, coalesce(sum(waiting), 0) AS waiting, min(oldest) AS oldest,
            coalesce(sum(later), 0) - sum(retrying) AS scheduled, sum(retrying) AS retrying, coalesce(sum(held), 0) AS held,
            sum(running) AS running, sum(dead) AS dead
        FROM parts GROUP BY queue
    )
    SELECT json_build_object(
        'now', moment,
        'queues', (SELECT coalesce(json_agg(to_json(s) ORDER BY queue), '[]') FROM summed AS s),
        'unknown', (
            SELECT coalesce(json_object_agg(kind, number ORDER BY kind), '{}')
            FROM (
                SELECT substr(gate, 9) AS kind, sum(number)::bigint AS number FROM pending
                WHERE starts_with(gate, 'unknown:') GROUP BY gate
            ) AS strange
        )) INTO answer;
    RETURN answer;
END
$$;
