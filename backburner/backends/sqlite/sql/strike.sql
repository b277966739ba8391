-- Strike nodes from the list.
-- ?1 JSON: nodes
DELETE FROM backburner_nodes WHERE id IN (SELECT value FROM json_each(?1))
