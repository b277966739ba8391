-- Write what code declares: {"now", "limits": {name: JSON as text}}.
CREATE OR REPLACE FUNCTION {schema}.declare(document json) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
    PERFORM declare_limits(document -> 'limits', instant((document ->> 'now')::bigint));
    RETURN '{}';
END
$$;
