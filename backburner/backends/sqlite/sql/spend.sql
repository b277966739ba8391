-- Write how much of a queue's rate is used.
-- :name · :mark · :count · :previous · :metered
UPDATE backburner_queues SET mark = :mark, count = :count, previous = :previous, metered = :metered
WHERE name = :name
