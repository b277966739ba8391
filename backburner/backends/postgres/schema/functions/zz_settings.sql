-- What every verb runs under, on whichever connection it is called: callers' own included.
DO $settings$
DECLARE
    verb text;
BEGIN
    FOREACH verb IN ARRAY '{
        enqueue,claim,settle,recover,cancel,expedite,release,prune,restore,replay,purge,declare,override,swap_cell,acquire,renew,
        change,due,append,subscribe,pull,confirm,read_events,list_subscriptions,backlog
    }'::text[] LOOP
        EXECUTE format('ALTER FUNCTION {schema}.%I(json) SET search_path = {schema}, pg_temp', verb);
        -- Nobody's transaction is waited for for longer than others take to commit: meanwhile everybody else waits here, and
        -- again each time that the same is tried.
        EXECUTE format('ALTER FUNCTION {schema}.%I(json) SET lock_timeout = ''100ms''', verb);
        -- Every statement here goes by an index, and is planned once a connection. Left to itself a planner that cannot
        -- see the lengths of arrays and limits prefers to read and sort whole tables, once there are enough rows.
        EXECUTE format('ALTER FUNCTION {schema}.%I(json) SET plan_cache_mode = force_generic_plan', verb);
        EXECUTE format('ALTER FUNCTION {schema}.%I(json) SET enable_seqscan = off', verb);
        EXECUTE format('ALTER FUNCTION {schema}.%I(json) SET enable_bitmapscan = off', verb);
        EXECUTE format('ALTER FUNCTION {schema}.%I(json) SET enable_hashjoin = off', verb);
        EXECUTE format('ALTER FUNCTION {schema}.%I(json) SET enable_mergejoin = off', verb);
        EXECUTE format('ALTER FUNCTION {schema}.%I(json) SET enable_sort = off', verb);
        EXECUTE format('ALTER FUNCTION {schema}.%I(json) SET jit = off', verb);
    END LOOP;
    -- It waits for whoever numbers events, who may be at thousands.
    ALTER FUNCTION {schema}.subscribe(json) SET lock_timeout = '2s';
END
$settings$;
