-- Many at a time: one command for all that a script writes of a kind, or reads. Included by tables.

-- Arguments to one command: what a call can carry is bounded by the stack, at about 8,000.
local MOST = 4000

local buffers = {}

-- What one command is to be told of many, kept until `flush`.
local function buffer(command, key)
    local made = { command = command, key = key, n = 0 }
    buffers[#buffers + 1] = made
    return made
end

local function one(to, item)
    local n = to.n + 1
    to[n] = item
    to.n = n
end

local function two(to, item, value)
    local n = to.n
    to[n + 1] = item
    to[n + 2] = value
    to.n = n + 2
end

local function flush()
    for _, each in ipairs(buffers) do
        for first = 1, each.n, MOST do
            redis.call(each.command, each.key, unpack(each, first, math.min(first + MOST - 1, each.n)))
        end
        each.n = 0
    end
    events.write()
end

-- What many fields hold, in their order; false where there is nothing.
local function get_many(command, key, names)
    if #names <= MOST then
        return #names == 0 and {} or redis.call(command, key, unpack(names))
    end
    local found = {}
    for first = 1, #names, MOST do
        local last = math.min(first + MOST - 1, #names)
        for at, value in ipairs(redis.call(command, key, unpack(names, first, last))) do
            found[first + at - 1] = value
        end
    end
    return found
end

-- Members of a sorted set that start so, from `from` on.
local function starting(key, prefix, limit, from)
    return redis.call("ZRANGEBYLEX", key, from or "[" .. prefix .. "\0", "(" .. prefix .. "\1", "LIMIT", 0, limit)
end

-- End here if the server is full, whatever the script does first.
local function only_with_room()
    redis.call("ZADD", IDS, "XX", 0, "")
end

-- In this order they are written.
local left_line, left_held = buffer("ZREM", LINE), buffer("ZREM", HELD)
local left_expiring, left_retrying = buffer("ZREM", EXPIRING), buffer("ZREM", RETRYING)
local set_job, set_run = buffer("HSET", JOBS), buffer("HSET", RUNS)
local to_line, to_held = buffer("ZADD", LINE), buffer("ZADD", HELD)
local to_ids, to_ended, to_retrying = buffer("ZADD", IDS), buffer("ZADD", ENDED), buffer("ZADD", RETRYING)
local to_dead, to_letters = buffer("ZADD", DEAD), buffer("ZADD", LETTERS)
local to_expiring, to_children = buffer("ZADD", EXPIRING), buffer("ZADD", CHILDREN)
