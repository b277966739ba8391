-- Enter a subscription, or take up the one of this name: {"now", "name", "patterns", "kind", "ttl", "after"}. Whatever is
-- committed is numbered first, waiting for whoever is at it, so that a new one stands at the true end. Answers {"now", "log",
-- "last", "subscription": as `subscription_of` has it}.
CREATE OR REPLACE FUNCTION {schema}.subscribe(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    given record;
    moment bigint;
    kept log;
    entered subscriptions;
BEGIN
    SELECT * INTO given FROM json_to_record(document) AS whole (
        now bigint, name text, patterns text[], kind text, ttl bigint, after bigint);
    moment := instant(given.now);
    PERFORM pg_advisory_xact_lock(hashtextextended({literal}, 5));
    WHILE seal() LOOP
    END LOOP;
    SELECT * INTO kept FROM log;
    INSERT INTO subscriptions AS s (name, patterns, kind, ttl, cursor, created_at, seen_at)
    VALUES (given.name, given.patterns, given.kind, given.ttl, coalesce(given.after, kept.last), moment, moment)
    ON CONFLICT (name) DO UPDATE SET
        patterns = excluded.patterns, kind = excluded.kind, ttl = excluded.ttl, cursor = coalesce(given.after, s.cursor),
        seen_at = excluded.seen_at
    RETURNING * INTO entered;
    DELETE FROM patterns WHERE subscription = given.name AND pattern <> ALL (given.patterns);
    INSERT INTO patterns (pattern, subscription)
    SELECT DISTINCT pattern, given.name FROM unnest(given.patterns) AS pattern ON CONFLICT DO NOTHING;
    RETURN json_build_object(
        'now', moment, 'log', kept.name, 'last', kept.last, 'subscription', subscription_of(entered));
END
$$;
