-- Wait for one's turn to change the schema: whoever holds it keeps it until its transaction ends.
-- $1 the schema's name
SELECT pg_advisory_xact_lock(hashtextextended('backburner schema ' || $1, 0))
