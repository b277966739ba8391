-- Store events. KEYS: those of events. ARGV: now, the events. Answers: now, and how many were stored.
-- include events

local stored = events.add_all(ARGV[2])
events.write()
return { now(), stored }
