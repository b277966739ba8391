-- What a filter by error counts: dead letters with a brief account of it, which are in an index with all of that, and
-- those with a long one, which no index can hold.
(
    SELECT * FROM {schema}.jobs WHERE state = 'dead' AND octet_length(error) + octet_length(message) <= 500
    UNION ALL
    SELECT * FROM {schema}.jobs WHERE state = 'dead' AND octet_length(error) + octet_length(message) > 500
) AS letters
