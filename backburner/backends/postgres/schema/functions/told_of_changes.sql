-- Events of changes but those left out; their numbers are in `owners`. One that names a job is told if that was stored or, with
-- "held", if it is among the `holders` of its change, since another holds its key. NULL where none is left.
CREATE OR REPLACE FUNCTION {schema}.told_of_changes(events json, owners integer[], left_out integer[], holders jsonb) RETURNS json LANGUAGE sql AS $$
    SELECT json_agg(e.event ORDER BY e.nth) FROM json_array_elements(events) WITH ORDINALITY AS e (event, nth)
    WHERE owners[e.nth] <> ALL (left_out)
      AND (
          e.event ->> 'job' IS NULL
          OR coalesce((e.event ->> 'held')::boolean, false)
              = coalesce(holders -> owners[e.nth]::text ? (e.event ->> 'job'), false))
$$;
