-- Ended jobs whose time has passed; NULL keeps a state for ever.
-- :completed before · :cancelled before · :dead before · :limit
SELECT json_group_array(seq) FROM (
    SELECT * FROM (SELECT seq FROM backburner_jobs WHERE state = 'completed' AND ended_at <= :completed LIMIT :limit)
    UNION ALL
    SELECT * FROM (SELECT seq FROM backburner_jobs WHERE state = 'cancelled' AND ended_at <= :cancelled LIMIT :limit)
    UNION ALL
    SELECT * FROM (SELECT seq FROM backburner_jobs WHERE state = 'dead' AND ended_at <= :dead LIMIT :limit)
    LIMIT :limit
)
