-- The steps that were applied, in order.
SELECT version, name, checksum FROM {schema}.migrations ORDER BY version
