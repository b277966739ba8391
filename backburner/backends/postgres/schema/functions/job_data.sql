-- The data of an event about a job; what there is not, or is empty, is left out.
CREATE OR REPLACE FUNCTION {schema}.job_data(
    kind text, queue text, attempt integer, node text DEFAULT NULL, reason text DEFAULT NULL, error text DEFAULT NULL,
    message text DEFAULT NULL, fingerprint text DEFAULT NULL, delay bigint DEFAULT NULL
) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT json_strip_nulls(json_build_object(
        'kind', nullif(kind, ''), 'queue', nullif(queue, ''), 'attempt', attempt, 'node', nullif(node, ''),
        'reason', nullif(reason, ''), 'error', nullif(error, ''), 'message', nullif(message, ''),
        'fingerprint', nullif(fingerprint, ''), 'delay', delay::double precision / 1000000))::text
$$;
