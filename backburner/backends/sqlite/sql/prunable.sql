-- Ended jobs whose own time has passed, without those lifted out; NULL keeps a state for ever.
-- :completed before · :cancelled before · :dead before · :limit
SELECT json_group_array(seq) FROM (
    SELECT * FROM (
        SELECT seq FROM backburner_jobs
        WHERE state = 'completed' AND ended_at <= :completed AND ended_at IS NOT NULL AND NOT lifted LIMIT :limit
    )
    UNION ALL
    SELECT * FROM (
        SELECT seq FROM backburner_jobs
        WHERE state = 'cancelled' AND ended_at <= :cancelled AND ended_at IS NOT NULL AND NOT lifted LIMIT :limit
    )
    UNION ALL
    SELECT * FROM (
        SELECT seq FROM backburner_jobs
        WHERE state = 'dead' AND ended_at <= :dead AND ended_at IS NOT NULL AND NOT lifted LIMIT :limit
    )
    LIMIT :limit
)
