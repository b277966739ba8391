-- Write state and active of an operation if its version is the one sent. KEYS: those of logging, and see operating. ARGV:
-- now, operation (msgpack: id, version, state, active), events. Answers 1 if it was.
-- include logging
-- include operating

local operation = next_of(cmsgpack.unpack(ARGV[2]))
if not operation then
    return 0
end
even_if_full(ACTED)
keep_operation(operation, now())
events.add_all(ARGV[3])
events.write()
return 1
