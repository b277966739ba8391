-- Delete a schedule of that version; no row where there is none.
-- $1 name · $2 version
DELETE FROM {schema}.schedules WHERE name = $1 AND version = $2 RETURNING true
