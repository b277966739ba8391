-- The lanes against whose slots these runs count.
-- :ids (JSON)
SELECT json_group_array(DISTINCT lane) FROM backburner_held WHERE job IN (SELECT value FROM json_each(:ids))
