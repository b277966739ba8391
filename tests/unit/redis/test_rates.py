"""The scripts reckon rates as `backburner.resilience.rates` does, to the last microsecond, though their numbers are floats."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from backburner.backends.redis import scripts
from backburner.backends.redis.packing import eight, number
from backburner.errors import InvalidOption
from backburner.model.clock import SECOND
from backburner.model.lane import Algorithm, Meter, Rate
from backburner.resilience import rates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.backends.redis.session import Session

CASES = 2000
NOW = 1_763_000_000_123_457
#: For each case: the algorithm, limit, period, burst, mark, count, previous, how many start, a deposit.
DRIVER = """
local pack, unpack_binary, sub, floor = struct.pack, struct.unpack, string.sub, math.floor
local NOW = now()
local NOW8 = pack(">I8", NOW)
%s
local answer = {}
for at = 2, #ARGV, 9 do
    local rate = {
        algorithm = ARGV[at], limit = tonumber(ARGV[at + 1]), period = tonumber(ARGV[at + 2]), burst = tonumber(ARGV[at + 3]),
    }
    local meter = { mark = ARGV[at + 4], count = tonumber(ARGV[at + 5]), previous = tonumber(ARGV[at + 6]) }
    local after = spent(rate, meter, tonumber(ARGV[at + 7]))
    answer[#answer + 1] = {
        pack(">I8", permits(rate, meter)), pack(">I8", next_permit(rate, meter)), after.mark, pack(">I8", after.count),
        pack(">I8", after.previous), rate.algorithm == "gcra" and deposited(meter, tonumber(ARGV[at + 8])).mark or "",
    }
end
return answer
"""


def _rates(chance: random.Random) -> Iterator[tuple[Rate, Meter, int, int]]:
    """Draw rates of every size that is allowed, often the largest, with meters and what may be taken of them."""
    while True:
        size = chance.choice((3, 10, 26, 40, 53))
        period = chance.randrange(1, 2**size + 1)
        most = max(1, min(period, 2**53 // period))
        limit = chance.choice((most, chance.randint(1, most)))
        algorithm = chance.choice(tuple(Algorithm))
        burst = chance.choice((1, chance.randint(1, 100), 2**53 // max(1, -(-period // limit))))
        try:
            rate = rates.check_rate(Rate(limit=limit, period=period, algorithm=algorithm, burst=max(1, burst)))
        except InvalidOption:
            continue
        if algorithm is Algorithm.GCRA:
            meter = Meter(max(0, NOW + chance.randint(-SECOND, rate.burst * rates.interval(rate))))
        else:
            begin = NOW - NOW % period
            mark = max(0, begin + chance.choice((0, 0, -period, -period, -2 * period, 1, -1, period)))
            meter = Meter(min(mark, NOW + SECOND), chance.randint(0, limit + 1), chance.randint(0, limit + 1))
        yield rate, meter, chance.randint(0, rates.permits(rate, meter, NOW)), chance.randrange(2**40)


@pytest.mark.parametrize("seed", range(3))
async def test_reckoned_alike(session: Session, seed: int) -> None:
    """Permits, the moment of the next, and the meter afterwards are those that every other store answers."""
    drawn = _rates(random.Random(seed))
    cases = [next(drawn) for _ in range(CASES)]
    text = "\n".join(
        (*scripts._lines("common"), DRIVER % "\n".join((*scripts._lines("numbers"), *scripts._lines("rates"))))
    )
    args = [
        arg
        for rate, meter, taken, deposit in cases
        for arg in (
            *(rate.algorithm, rate.limit, rate.period, rate.burst),
            *(eight(meter.mark), meter.count, meter.previous, taken, deposit),
        )
    ]
    answers = await session.client.call("EVAL", text, 0, str(NOW), *args)
    for (rate, meter, taken, deposit), (permits, wait, mark, count, previous, deposited) in zip(
        cases, answers, strict=True
    ):
        case = (rate, meter, taken, deposit)
        assert number(permits) == rates.permits(rate, meter, NOW), case
        assert NOW + number(wait) == rates.next_at(rate, meter, NOW), case
        after = rates.spent(rate, meter, NOW, taken)
        assert (number(mark), number(count), number(previous)) == (after.mark, after.count, after.previous), case
        if deposited:
            # A mark that has passed says no more than now.
            assert number(deposited) == max(NOW, rates.deposited(meter, deposit, 1).mark), case
