-- Forget a subscription; no row where there is none.
-- $1 name
WITH gone AS (
    DELETE FROM {schema}.subscriptions WHERE name = $1 RETURNING name
),
forgotten AS (
    DELETE FROM {schema}.patterns WHERE subscription = ANY (ARRAY(SELECT name FROM gone))
)
SELECT true FROM gone
