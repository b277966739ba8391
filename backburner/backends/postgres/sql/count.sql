-- How many jobs match, by the state shown.
-- $1 now · {jobs} what is looked through · {shown} the state shown · {where} what the filter names, from $2 on
WITH
-- include clock
SELECT coalesce(json_object_agg(shown, number), '{}')::text
FROM (
    SELECT {shown} AS shown, count(*) AS number FROM {jobs} WHERE {where} GROUP BY 1
) AS counted
