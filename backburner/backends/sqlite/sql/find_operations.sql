-- Operations by id descending, below :after.
-- :active NULL: any · :after · :limit
SELECT json_group_array(
-- include operation
)
FROM (
    SELECT * FROM backburner_operations
    -- A blob is above every text.
    WHERE id < coalesce(:after, x'') AND (:active IS NULL OR active = :active)
    ORDER BY id DESC
    LIMIT :limit
)
