-- The schedules of these names, by name.
-- $1 now · $2 names
WITH
-- include clock
SELECT json_build_array((SELECT now FROM clock), coalesce(json_agg({schema}.schedule_of(s) ORDER BY name), '[]'))::text
FROM {schema}.schedules AS s
WHERE name = ANY ($2::text[])
