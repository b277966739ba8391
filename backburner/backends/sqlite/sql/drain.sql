-- Ask a node to drain.
-- :node
UPDATE backburner_nodes SET drain = 1 WHERE id = :node
