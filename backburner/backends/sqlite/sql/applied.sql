-- Note that a step of the schema was applied.
-- ?1 version · ?2 name · ?3 checksum · ?4 now
INSERT INTO backburner_migrations (version, name, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)
