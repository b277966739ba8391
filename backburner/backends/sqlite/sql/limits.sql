-- Limits, by name: these, or all.
-- :names (JSON)
SELECT json_group_array(json_object(
    'name', name, 'declared', json(declared), 'override', json(override), 'by', set_by, 'reason', reason))
FROM (
    SELECT * FROM backburner_limits
    WHERE :names IS NULL OR name IN (SELECT value FROM json_each(:names))
    ORDER BY name
)
