-- The settings of every queue that has any, by name; a pause whose end has passed is none.
-- $1 now
WITH
-- include clock
SELECT coalesce(json_agg(json_build_object(
    'name', name,
    'paused', paused AND coalesce(paused_until > now, true),
    'paused_until', CASE WHEN paused AND paused_until > now THEN paused_until END,
    'reason', reason, 'by', set_by, 'slots', slots, 'rate', rate) ORDER BY name), '[]')::text
FROM {schema}.queues, clock
