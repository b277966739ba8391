-- New jobs as rows: what a document leaves out is at its default, and durations count from now. Whoever could run at once, but
-- names one of the lanes in `standing`, is put behind those who stand there.
CREATE OR REPLACE FUNCTION {schema}.new_jobs(jobs json, standing text[], moment bigint) RETURNS TABLE (
    nth bigint, id text, kind text, queue text, args text, priority smallint, due_at bigint, expires_at bigint,
    timeout bigint, retry text, tags text[], gate text, headers text, parent text, unique_key text, unique_states text[],
    unique_until bigint, lanes text[])
LANGUAGE sql STABLE ROWS 100 AS $$
    SELECT
        j.nth, j.id, j.kind, j.queue, j.args, coalesce(j.priority, 5)::smallint,
        CASE WHEN j.at IS NULL THEN moment + greatest(0, coalesce(j.delay, 0)) ELSE greatest(moment, j.at) END,
        coalesce(moment + j.expires_in, j.expires_at), j.timeout, j.retry, coalesce(j.tags, '{}'),
        CASE
            WHEN j.lanes IS NULL OR j.gate > '' OR j.delay > 0 OR j.at > moment THEN coalesce(j.gate, '')
            ELSE gate_of(j.lanes, standing) END,
        j.headers, j.parent, j."unique" ->> 'key',
        CASE WHEN j."unique" IS NOT NULL THEN ARRAY(SELECT json_array_elements_text(j."unique" -> 'states')) END,
        moment + (j."unique" ->> 'period')::bigint, j.lanes
    FROM ROWS FROM (json_to_recordset(jobs) AS (
        id text, kind text, queue text, args text, priority integer, delay bigint, at bigint, expires_in bigint,
        expires_at bigint, timeout bigint, retry text, tags text[], gate text, headers text, parent text, "unique" json, lanes text[]
    )) WITH ORDINALITY AS j (
        id, kind, queue, args, priority, delay, at, expires_in, expires_at, timeout, retry, tags, gate, headers, parent,
        "unique", lanes, nth)
$$;
