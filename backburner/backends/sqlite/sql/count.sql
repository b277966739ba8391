-- How many jobs match, by the state shown. Each state is a sum of its own: groups would be sorted first.
-- What the filter names
SELECT json_object(
    'waiting', count(*) FILTER (WHERE state = 'pending' AND failures = 0 AND due_at <= :now),
    'scheduled', count(*) FILTER (WHERE state = 'pending' AND failures = 0 AND due_at > :now),
    'retrying', count(*) FILTER (WHERE state = 'pending' AND failures > 0),
    'running', count(*) FILTER (WHERE state = 'running'),
    'completed', count(*) FILTER (WHERE state = 'completed'),
    'cancelled', count(*) FILTER (WHERE state = 'cancelled'),
    'dead', count(*) FILTER (WHERE state = 'dead'))
FROM backburner_jobs
WHERE /* filter */ TRUE
