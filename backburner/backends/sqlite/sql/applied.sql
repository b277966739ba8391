-- Note that a step of the schema was applied.
-- :version · :name · :checksum · :now
INSERT INTO backburner_migrations (version, name, checksum, applied_at) VALUES (:version, :name, :checksum, :now)
