-- The number up to which events were written as long ago as this, of the oldest :limit; NULL: not even the first was.
-- Were the clock ever put back, an older one waits for those before it: what is deleted is always the front of the log.
-- :before · :limit
WITH oldest (number, time) AS MATERIALIZED (
    SELECT number, time FROM backburner_events ORDER BY number LIMIT :limit
)
SELECT max(number)
FROM oldest
WHERE number < coalesce((SELECT min(number) FROM oldest WHERE time > :before), number + 1)
