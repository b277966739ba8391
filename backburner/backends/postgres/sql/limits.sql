-- The limits that are declared or set, by name.
SELECT coalesce(json_agg(json_build_object(
    'name', name, 'declared', declared::json, 'override', override::json, 'by', set_by, 'reason', reason) ORDER BY name), '[]')::text
FROM {schema}.limits
