-- Write a hint down, so that other connections see that something changed.
-- ?1 whether it tells of a lapse
UPDATE backburner_hints SET told = told + 1, lapses = lapses + ?1
