-- The schedules that match, by name.
-- $1 now · $2 at most so many · {where} what is named, from $3 on
WITH
-- include clock
SELECT json_build_array((SELECT now FROM clock), coalesce(json_agg({schema}.schedule_of(s) ORDER BY name), '[]'))::text
FROM {schema}.schedules AS s
WHERE name = ANY (ARRAY(SELECT name FROM {schema}.schedules WHERE {where} ORDER BY name LIMIT $2))
