-- What is to be known of a server before it is used: JSON. Nobody needs a right to see it.
-- $1 the schema's name
SELECT json_build_array(
    EXISTS (
        SELECT FROM pg_catalog.pg_class AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
        WHERE n.nspname = $1 AND t.relname = 'migrations'
    ),
    pg_is_in_recovery(),
    current_setting('synchronous_commit'),
    current_setting('fsync'),
    current_setting('server_encoding'),
    current_setting('transaction_isolation'))::text
