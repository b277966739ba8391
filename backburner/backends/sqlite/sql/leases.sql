-- Every lease of these names that is kept, of all without names: those that are over too.
-- :names (JSON)
SELECT json_group_array(json_array(name, holder, token, shared, until))
FROM (
    SELECT * FROM backburner_leases
    WHERE :names IS NULL OR name IN (SELECT value FROM json_each(:names))
    ORDER BY name, token
)
