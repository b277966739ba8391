-- Whether there is a store, which nobody needs a right to see.
-- $1 the schema's name
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_class AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
    WHERE n.nspname = $1 AND t.relname = 'migrations'
)
