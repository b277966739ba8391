-- Store events. KEYS: those of logging. ARGV: now, the events. Answers: now, and how many were stored.
-- include logging

local stored = events.add_all(ARGV[2])
events.write()
return { now(), stored }
