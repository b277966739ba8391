-- Forget what was used of a queue's rate, if that is another now.
-- :name · :metered
UPDATE backburner_queues SET mark = 0, count = 0, previous = 0, metered = NULL
WHERE name = :name AND metered <> :metered
