-- What a role needs to operate this store: run jobs, store them, look at them. It may change no schema.
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON
    {schema}.jobs, {schema}.attempts, {schema}.nodes, {schema}.queues, {schema}.kinds, {schema}.limits, {schema}.lanes,
    {schema}.held, {schema}.cells, {schema}.leases, {schema}.operations, {schema}.schedules, {schema}.ticks, {schema}.log,
    {schema}.unnumbered, {schema}.events, {schema}.subscriptions, {schema}.patterns
    TO {role};
GRANT SELECT ON {schema}.migrations TO {role};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role};
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {role};
