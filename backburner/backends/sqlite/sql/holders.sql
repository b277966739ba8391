-- Every node that is entered or holds a job: one probe a node, however many jobs each holds.
WITH RECURSIVE holders (node) AS (
    SELECT min(node) FROM backburner_jobs WHERE state = 'running'
    UNION ALL
    SELECT (SELECT min(node) FROM backburner_jobs WHERE state = 'running' AND node > holders.node)
    FROM holders WHERE holders.node IS NOT NULL
)
SELECT json_group_array(node) FROM (
    SELECT node FROM holders WHERE node IS NOT NULL UNION SELECT id FROM backburner_nodes
)
