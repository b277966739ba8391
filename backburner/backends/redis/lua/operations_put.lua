-- Write a new operation, and tell. KEYS: those of logging, and see operating. ARGV: now, operation (msgpack), channel,
-- hint, events. Answers 1, or 0 when the id exists.
-- include logging
-- include operating

local at = now()
local operation = cmsgpack.unpack(ARGV[2])
if operation_of(operation.id) then
    return 0
end
even_if_full(ACTED)
operation.version, operation.created_at = 1, at
keep_operation(operation, at)
events.add_all(ARGV[5])
events.write()
tell(ARGV[3], ARGV[4])
return 1
