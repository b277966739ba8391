-- Change nothing, but take the write lock; a driver that begins transactions by itself begins one.
UPDATE backburner_hints SET told = told WHERE FALSE
