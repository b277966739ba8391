-- Store events.
-- :events JSON: [name, subject, data, id] an event · :now
INSERT INTO backburner_events (time, name, subject, data, id)
SELECT :now, value ->> 0, value ->> 1, value ->> 2, value ->> 3
FROM json_each(:events)
