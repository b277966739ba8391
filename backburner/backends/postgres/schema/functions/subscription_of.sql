-- A subscription as it is read: the order of the fields is the model's.
CREATE OR REPLACE FUNCTION {schema}.subscription_of(s {schema}.subscriptions) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_array(s.name, s.patterns, s.kind, s.ttl, s.cursor, s.created_at, s.seen_at)
$$;
