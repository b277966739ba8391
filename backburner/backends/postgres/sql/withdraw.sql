-- Strike a node.
-- $1 its id
DELETE FROM {schema}.nodes WHERE id = $1
