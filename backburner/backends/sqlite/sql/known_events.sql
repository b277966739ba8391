-- Which of these ids, the publishers' own, are stored.
-- :ids (JSON)
SELECT json_group_array(id)
FROM backburner_events
WHERE id IN (SELECT value FROM json_each(:ids)) AND id IS NOT NULL
