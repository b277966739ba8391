-- A job as the claim that its node is handed, from the gate it stood at: the order of the fields is the model's.
CREATE OR REPLACE FUNCTION {schema}.claim_of(job {schema}.jobs, gate text, moment bigint) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_array(
        job.id, job.kind, job.queue, job.args, job.priority, job.attempt, job.failures, job.crashes, job.interruptions,
        job.token, job.timeout, job.retry, job.backoff, job.created_at, job.due_at, job.expires_at, moment, gate,
        job.headers, job.checkpoint, coalesce(job.lanes, '{}'))
$$;
