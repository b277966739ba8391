-- Hand due jobs to a node: the request of the port, and "now" and "floors". {"lost": true} where its lease is not live.
CREATE OR REPLACE FUNCTION {schema}.claim(request json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    moment bigint := instant((request ->> 'now')::bigint);
BEGIN
    IF NOT EXISTS (SELECT FROM nodes WHERE id = request ->> 'node' AND lease_until > moment) THEN
        RETURN '{"lost": true}';
    END IF;
    RETURN claim_jobs(request, wanted('{job.claimed}'), moment);
END
$$;
