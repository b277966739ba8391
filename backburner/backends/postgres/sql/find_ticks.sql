-- The lines of the ledger that match, by id descending.
-- $1 now · $2 at most so many · {where} what is named, from $3 on
WITH
-- include clock
SELECT json_build_array((SELECT now FROM clock), coalesce(json_agg(json_build_array(
    id, schedule, tick, last, count, outcome, reason, job, due_at, at, set_by, note) ORDER BY id DESC), '[]'))::text
FROM (
    SELECT * FROM {schema}.ticks WHERE {where} ORDER BY id DESC LIMIT $2
) AS found
