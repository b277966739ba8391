-- Tell the same of jobs, as they are now. They are locked, or new, so that nobody writes of them out of turn.
CREATE OR REPLACE FUNCTION {schema}.tell_of_jobs(event text, ids text[], teller text, why text, moment bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(ids) = 0 THEN
        RETURN;
    END IF;
    INSERT INTO unnumbered (name, subject, time, data)
    SELECT
        event, j.id, moment,
        job_data(j.kind, j.queue, CASE WHEN event = 'job.enqueued' THEN 0 ELSE j.attempt END, teller, why)
    FROM unnest(ids) AS told (id) JOIN jobs AS j ON j.id = told.id;
END
$$;
