-- How jobs of a final state went that match, and ended from a moment on, the last to end first; those below another moment
-- and id, without those lifted out.
-- :state · :from · :moment, :before below these · :limit, and what the filter names
SELECT json_group_array(json_array(id, kind, queue, attempt, failures, created_at, due_at, started_at, ended_at))
FROM (
    SELECT id, kind, queue, attempt, failures, created_at, due_at, started_at, ended_at
    FROM backburner_jobs INDEXED BY backburner_jobs_ended
    WHERE state = :state AND ended_at BETWEEN :from AND :moment AND (ended_at < :moment OR id < :before)
      AND ended_at IS NOT NULL AND NOT lifted AND /* filter */ TRUE
    ORDER BY ended_at DESC, id DESC
    LIMIT :limit
)
