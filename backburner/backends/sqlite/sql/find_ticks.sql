-- Lines of the ledger that match, by id descending.
-- :limit, and what the filter names
SELECT json_group_array(
-- include tick
)
FROM (
    SELECT * FROM backburner_ticks
    WHERE /* filter */ TRUE
    ORDER BY id DESC
    LIMIT :limit
)
