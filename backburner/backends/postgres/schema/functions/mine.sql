-- Whether this transaction may decide about a unique key: nobody else does so until it ends. Never waits. One that goes on
-- seeing what it saw at first may not, since it does not see who holds the key by now.
CREATE OR REPLACE FUNCTION {schema}.mine(key text) RETURNS boolean LANGUAGE sql AS $$
    SELECT current_setting('transaction_isolation') LIKE 'read %'
        AND pg_try_advisory_xact_lock(hashtextextended(key, hashtextextended({literal}, 0)))
$$;
