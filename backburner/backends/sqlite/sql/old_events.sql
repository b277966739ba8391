-- The number up to which events were written as long ago as this, of the oldest :limit; NULL: not even the oldest was.
-- Were the clock ever put back, an older one waits for those before it: what is deleted is always the front of the log.
-- :before · :limit
SELECT max(number)
FROM (
    SELECT number, max(time) OVER (ORDER BY number ROWS UNBOUNDED PRECEDING) AS latest
    FROM (SELECT number, time FROM backburner_events ORDER BY number LIMIT :limit)
)
WHERE latest <= :before
