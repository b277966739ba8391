-- What tells this store from others of the same name: when each of its steps was applied.
SELECT string_agg(version || ' ' || applied_at, ',' ORDER BY version) FROM {schema}.migrations
