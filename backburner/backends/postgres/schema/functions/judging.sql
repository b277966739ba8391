-- Whether this transaction may judge by lanes: until it ends no limit changes, so that nobody is parked by one that held
-- before, where those who change it do not see him. Never waits.
CREATE OR REPLACE FUNCTION {schema}.judging() RETURNS boolean LANGUAGE sql AS $$
    SELECT pg_try_advisory_xact_lock_shared(hashtextextended({literal}, 2))
$$;
