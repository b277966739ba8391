-- Whether there is a schema at all.
SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'backburner_migrations'
