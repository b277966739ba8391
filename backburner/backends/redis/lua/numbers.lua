-- Numbers of 64 bits, and the order of bytes. Included by tables.

local HALF = 4294967296

-- The sum of a number and 8 bytes, as 8 bytes, exactly.
local function sum(number, eight)
    local high, low = unpack_binary(">I4I4", eight)
    low = low + number % HALF
    high = (high + floor(number / HALF) + floor(low / HALF)) % HALF
    return pack(">I4I4", high, low % HALF)
end

-- The number that 8 bytes stand for; beyond 2^53 rounded.
local function number_of(eight)
    local high, low = unpack_binary(">I4I4", eight)
    if high >= HALF / 2 then
        high = high - HALF
    end
    return high * HALF + low
end

-- The 8 bytes that 16 hexadecimal digits stand for: in msgpack, only text can be read here.
local function eight(digits)
    return pack(">I4I4", tonumber(sub(digits, 1, 8), 16), tonumber(sub(digits, 9, 16), 16))
end

-- An instant, as 8 bytes, from what was sent: a sign that tells whether it counts from now, and 16 digits.
local function instant(sent)
    local value = eight(sub(sent, 2))
    return byte(sent) == 43 and sum(NOW, value) or value
end

-- The token of the next claim. After a failover that lost the last one, time makes up for it; a clock that is not the
-- server's may stand still.
local function next_token(token)
    if ARGV[1] == "" and number_of(token) < NOW then
        return NOW8
    end
    return sum(1, token)
end

-- Whether a text comes before another, byte by byte: a plain comparison follows the server's locale.
local function before(one, other)
    for at = 1, math.min(#one, #other) do
        local a, b = byte(one, at), byte(other, at)
        if a ~= b then
            return a < b
        end
    end
    return #one < #other
end
