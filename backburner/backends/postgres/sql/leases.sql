-- Who holds these names, or without them whatever is held, by name.
-- $1 now · $2 names
WITH
-- include clock
SELECT coalesce(json_object_agg(name, json_build_object('now', now, 'holders', holders) ORDER BY name), '{}')::text
FROM (
    SELECT name, (SELECT now FROM clock) AS now, json_agg(json_build_object(
        'holder', holder, 'token', token, 'shared', shared, 'until', until) ORDER BY token) AS holders
    FROM {schema}.leases
    WHERE until > (SELECT now FROM clock) AND (cardinality($2::text[]) = 0 OR name = ANY ($2))
    GROUP BY name
) AS held
