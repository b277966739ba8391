-- How many permits a meter has, and when the next: as `backburner.resilience.rates` reckons. Included by lanes.
--
-- A rate is a table of limit, period, algorithm, burst; none of its products is above 2^53. A meter is a table of mark (8
-- bytes: with a burst it lies beyond 2^53), count and previous.

local fmod, max = math.fmod, math.max

-- How often one number goes into another, neither negative: to divide would round.
local function times(number, into)
    return (into - fmod(into, number)) / number
end

local function interval(rate)
    return times(rate.limit, rate.period + rate.limit - 1)
end

-- How far a meter's mark is ahead of now, at least 0.
local function ahead_of(meter)
    return max(0, number_of(sum(-NOW, meter.mark)))
end

-- Of the window that is now: its mark as a number, what was taken in it, and in the one before. A clock that went back
-- stays in its window.
local function window_of(rate, meter)
    local mark, begin = number_of(meter.mark), NOW - fmod(NOW, rate.period)
    if begin <= mark then
        return mark, meter.count, meter.previous
    end
    return begin, 0, mark + rate.period == begin and meter.count or 0
end

local function permits(rate, meter)
    if rate.algorithm == "gcra" then
        local step = interval(rate)
        return times(step, max(0, rate.burst * step - ahead_of(meter)))
    end
    local mark, count, previous = window_of(rate, meter)
    if rate.algorithm == "fixed" then
        return max(0, rate.limit - count)
    end
    local free = rate.limit * rate.period - previous * max(0, mark + rate.period - max(NOW, mark))
    return max(0, times(rate.period, max(0, free)) - count)
end

-- Microseconds until the next permit: 0 if there is one.
local function next_permit(rate, meter)
    if permits(rate, meter) > 0 then
        return 0
    end
    if rate.algorithm == "gcra" then
        return ahead_of(meter) - (rate.burst - 1) * interval(rate)
    end
    local mark, count, previous = window_of(rate, meter)
    local turn = mark - NOW - fmod(mark, rate.period) + rate.period
    if rate.algorithm == "fixed" or count >= rate.limit or previous == 0 then
        return turn
    end
    local out_of_sight = times(previous, (rate.limit - count - 1) * rate.period)
    return math.min(turn, max(1, mark - NOW + rate.period - out_of_sight))
end

-- The meter after so many have started now.
local function spent(rate, meter, number)
    if rate.algorithm == "gcra" then
        return { mark = sum(ahead_of(meter) + number * interval(rate), NOW8), count = 0, previous = 0 }
    end
    local mark, count, previous = window_of(rate, meter)
    return { mark = pack(">I8", mark), count = count + number, previous = previous }
end

-- A budget's meter after a first attempt.
local function deposited(meter, deposit)
    return { mark = sum(max(0, ahead_of(meter) - deposit), NOW8), count = 0, previous = 0 }
end

-- When a meter says no more than none, in microseconds since 1970.
local function full_at(rate, meter)
    if rate.algorithm == "gcra" then
        return number_of(meter.mark)
    end
    return number_of(meter.mark) + (rate.algorithm == "fixed" and 1 or 2) * rate.period
end
