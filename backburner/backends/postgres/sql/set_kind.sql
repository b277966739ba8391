-- Write a kind's pause, in place of the one before.
-- $1 name · $2 until when · $3 why · $4 who set it · $5 a document for `append`, or NULL
WITH written AS (
    INSERT INTO {schema}.kinds (name, paused_until, reason, set_by)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (name) DO UPDATE SET
        paused_until = excluded.paused_until, reason = excluded.reason, set_by = excluded.set_by
    RETURNING true
)
SELECT CASE WHEN $5::text IS NOT NULL THEN {schema}.append($5::text::json)::text END FROM written
