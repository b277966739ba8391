-- These lanes, in the order asked, used or not.
-- $1 now · $2 names
WITH
-- include clock
SELECT json_build_array((SELECT now FROM clock), coalesce(json_agg(json_build_object(
    'name', asked.name,
    'limit', coalesce(l.override, l.declared, '{}')::json,
    'running', (SELECT count(*) FROM {schema}.held AS h WHERE h.lane = asked.name),
    'holders', ARRAY(SELECT h.job FROM {schema}.held AS h WHERE h.lane = asked.name ORDER BY h.job LIMIT 10),
    'free_at', CASE WHEN l.rate IS NOT NULL THEN {schema}.next_permit(
        l.rate, coalesce(lane.meter, '(,0,0,0)'), (SELECT now FROM clock)) END,
    'parked', EXISTS (
        SELECT FROM {schema}.jobs AS j
        WHERE j.state = 'pending' AND j.gate = 'lane:' || asked.name AND j.gate >= 'lane:' AND j.gate < 'lane;')
    ) ORDER BY asked.nth), '[]'))::text
FROM unnest($2::text[]) WITH ORDINALITY AS asked (name, nth)
LEFT JOIN {schema}.limits AS l ON l.name = split_part(asked.name, '/', 1)
LEFT JOIN {schema}.lanes AS lane ON lane.name = asked.name
