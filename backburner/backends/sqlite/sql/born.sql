    :now, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value -> 9, value ->> 10,
    iif(value ->> 11 IS NULL, 'pending', 'running'),
    value ->> 11 IS NOT NULL,
    coalesce(value ->> 11, 0),
    iif(value ->> 11 IS NULL, NULL, :node),
    iif(value ->> 11 IS NULL, NULL, :now)
