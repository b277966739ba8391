-- Whether a node is entered.
-- :id
SELECT EXISTS (SELECT 1 FROM backburner_nodes WHERE id = :id)
