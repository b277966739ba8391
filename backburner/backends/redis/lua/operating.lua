-- Operations. Included by what touches them; the last of KEYS are operations, acting, acted.
--
-- operations, by id: msgpack of the record, by the names of its fields. acting, acted: the ids of those that have something
-- left to do, and of those that have not, in byte order.

local OPERATIONS, ACTING, ACTED = unpack(KEYS, #KEYS - 2)

local function operation_of(id)
    local value = redis.call("HGET", OPERATIONS, id)
    return value and cmsgpack.unpack(value)
end

local function keep_operation(operation, at)
    operation.changed_at = at
    redis.call("HSET", OPERATIONS, operation.id, cmsgpack.pack(operation))
    redis.call("ZREM", operation.active and ACTED or ACTING, operation.id)
    redis.call("ZADD", operation.active and ACTING or ACTED, 0, operation.id)
end

-- What is stored of an operation if its version is the one sent, with what was sent written to it, but not kept yet.
local function next_of(sent)
    local operation = operation_of(sent.id)
    if operation and operation.version == sent.version then
        operation.state, operation.active, operation.version = sent.state, sent.active, sent.version + 1
        return operation
    end
end
