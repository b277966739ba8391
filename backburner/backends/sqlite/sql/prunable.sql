-- Ended jobs whose time has passed; NULL keeps a state for ever.
-- ?1 completed before · ?2 cancelled before · ?3 dead before · ?4 limit
SELECT json_group_array(seq) FROM (
    SELECT * FROM (SELECT seq FROM backburner_jobs WHERE state = 'completed' AND ended_at <= ?1 LIMIT ?4)
    UNION ALL
    SELECT * FROM (SELECT seq FROM backburner_jobs WHERE state = 'cancelled' AND ended_at <= ?2 LIMIT ?4)
    UNION ALL
    SELECT * FROM (SELECT seq FROM backburner_jobs WHERE state = 'dead' AND ended_at <= ?3 LIMIT ?4)
    LIMIT ?4
)
