-- The cells whose names begin so, by name.
-- :prefix · :beyond the least text above all that begin so; NULL: there is none
SELECT json_group_array(json_object('name', name, 'version', version, 'value', value))
FROM (
    SELECT * FROM backburner_cells WHERE name >= :prefix AND name < coalesce(:beyond, x'') ORDER BY name
)
