-- Strike nodes from the list.
-- :nodes (JSON)
DELETE FROM backburner_nodes WHERE id IN (SELECT value FROM json_each(:nodes))
