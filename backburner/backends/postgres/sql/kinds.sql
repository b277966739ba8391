-- The kinds that are paused, by name.
-- $1 now
WITH
-- include clock
SELECT coalesce(json_agg(json_build_object(
    'name', name, 'paused_until', paused_until, 'reason', reason, 'by', set_by) ORDER BY name), '[]')::text
FROM {schema}.kinds, clock
WHERE coalesce(paused_until > now, true)
