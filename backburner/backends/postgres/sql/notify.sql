-- Tell who listens.
-- $1 the channel, which is the schema's name · $2 the hint
SELECT pg_notify($1, $2)
