-- The cells whose names begin so, by name.
-- $1 now · $2 the beginning · $3 what is beyond it
WITH
-- include clock
SELECT json_build_object('now', (SELECT now FROM clock), 'cells', coalesce(json_agg(json_build_object(
    'name', name, 'version', version, 'value', value) ORDER BY name), '[]'))::text
FROM {schema}.cells
WHERE name >= $2 AND ($3::text IS NULL OR name < $3)
