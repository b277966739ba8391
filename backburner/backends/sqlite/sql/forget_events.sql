-- Delete the oldest events, up to a number.
-- :upto
DELETE FROM backburner_events WHERE number <= :upto
