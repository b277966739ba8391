-- Write a queue's settings, in place of those before; the use of its rate is kept, another begins anew.
-- $1 name · $2 paused · $3 until when · $4 why · $5 who set it · $6 slots · $7 JSON: rate · $8 a document for `append`, or NULL
WITH written AS (
    INSERT INTO {schema}.queues AS q (name, paused, paused_until, reason, set_by, slots, rate)
    VALUES ($1, $2, $3, $4, $5, $6, {schema}.to_rate($7::text::json))
    ON CONFLICT (name) DO UPDATE SET
        paused = excluded.paused, paused_until = excluded.paused_until, reason = excluded.reason,
        set_by = excluded.set_by, slots = excluded.slots, rate = excluded.rate,
        meter = CASE WHEN (q.meter).rate <> excluded.rate::text THEN excluded.meter ELSE q.meter END
    RETURNING true
)
SELECT CASE WHEN $8::text IS NOT NULL THEN {schema}.append($8::text::json)::text END FROM written
