-- Write a hint down, so that other connections see that something changed.
-- :lapse whether it tells of a lapse
UPDATE backburner_hints SET told = told + 1, lapses = lapses + :lapse
