-- The operations of these ids, by id descending.
-- :ids (JSON)
SELECT json_group_array(
-- include operation
)
FROM (
    SELECT * FROM backburner_operations WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY id DESC
)
