-- The kinds that are paused, by name.
-- :now
SELECT json_group_array(json_object(
    'name', name, 'paused_until', paused_until, 'reason', reason, 'by', set_by))
FROM (SELECT * FROM backburner_kinds WHERE coalesce(paused_until > :now, 1) ORDER BY name)
