-- The settings of every queue that has any, by name; a pause whose end has passed is none.
-- :now
SELECT json_group_array(json_object(
    'name', name,
    'paused', json(iif(paused AND coalesce(paused_until > :now, 1), 'true', 'false')),
    'paused_until', iif(paused AND paused_until > :now, paused_until, NULL),
    'reason', reason, 'by', set_by, 'slots', slots, 'rate', json(rate)))
FROM (SELECT * FROM backburner_queues ORDER BY name)
