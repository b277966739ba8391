-- Write what an operator sets in place of a declared limit. ARGV: now, channel, hint, name, and limit (JSON), by and
-- reason, each msgpack, and events. Answers as limits_declare.
-- include tables
-- include lanes
-- include limiting

even_if_full(LINE)
local last = change(ARGV[4], function(kept)
    kept.override, kept.by, kept.reason = cmsgpack.unpack(ARGV[5]), cmsgpack.unpack(ARGV[6]), cmsgpack.unpack(ARGV[7])
end)
events.add_all(ARGV[8])
events.write()
tell(ARGV[2], ARGV[3])
return last and { ARGV[4], last } or {}
