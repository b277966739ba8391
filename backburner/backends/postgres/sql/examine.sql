-- What a look at the server tells, for whoever may log in: JSON.
-- $1 the schema's name
WITH
tables AS (
    SELECT t.oid, t.relname
    FROM pg_catalog.pg_class AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
    WHERE n.nspname = $1 AND t.relkind = 'r'
),
needed (name, privilege) AS (
    SELECT relname, privilege
    FROM tables CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
    WHERE privilege = 'SELECT' OR relname <> 'migrations'
)
SELECT json_build_object(
    'version', current_setting('server_version'),
    'replica', pg_is_in_recovery(),
    'pid', pg_backend_pid(),
    'role', current_user,
    'now', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    'synchronous_commit', current_setting('synchronous_commit'),
    'fsync', current_setting('fsync')::boolean,
    'full_page_writes', current_setting('full_page_writes')::boolean,
    'autovacuum', current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean,
    'allowed', current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer,
    'used', (SELECT sum(numbackends) FROM pg_catalog.pg_stat_database),
    'timeouts', (
        SELECT json_object_agg(name, setting::bigint) FROM pg_catalog.pg_settings
        WHERE name IN ('statement_timeout', 'idle_session_timeout', 'transaction_timeout')),
    'denied', array_cat(
        ARRAY(
            SELECT 'USAGE on the schema' FROM pg_catalog.pg_namespace
            WHERE nspname = $1 AND NOT has_schema_privilege(oid, 'USAGE')),
        ARRAY(
            SELECT privilege || ' on ' || name FROM needed JOIN tables ON relname = name
            WHERE NOT has_table_privilege(tables.oid, privilege) ORDER BY name, privilege)))::text
