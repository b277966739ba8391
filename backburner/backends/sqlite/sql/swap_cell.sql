-- Write a cell over the version given, 0 where there is none.
-- :name · :value · :version
INSERT INTO backburner_cells (name, version, value)
SELECT :name, 1 + :version, :value
WHERE :version = coalesce((SELECT version FROM backburner_cells WHERE name = :name), 0)
ON CONFLICT (name) DO UPDATE SET version = excluded.version, value = excluded.value
