-- Forget a kind's pause.
-- $1 name
DELETE FROM {schema}.kinds WHERE name = $1
