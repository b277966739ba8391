-- Open more lanes of a limit where jobs stand. ARGV: now, limit, the last lane that was opened. Answers the last one now, or
-- nothing if that were all.
-- include tables
-- include lanes
-- include limiting

even_if_full(LINE)
return open_behind(ARGV[2], ARGV[3])
