-- The steps of the schema that were applied, in order.
SELECT version, name, checksum FROM backburner_migrations ORDER BY version
