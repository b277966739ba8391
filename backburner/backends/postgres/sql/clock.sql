    clock AS (SELECT coalesce($1::bigint, {schema}.instant(NULL)) AS now)
