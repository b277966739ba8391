"""Rates on every store: as many start as `backburner.resilience.rates` says, and the next at the very microsecond."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.model.lane import Algorithm, Limit, Meter, Rate
from backburner.model.node import QueueRecord
from backburner.resilience.rates import deposited, interval, next_at, permits, spent
from backburner.testing.contracts.making import add_each, ask, ids, new, publish, settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backburner.ports.backend import Backend
    from backburner.ports.jobs import ClaimBatch
    from tests.contracts.harnesses import StoreHarness

NUMBER = 40
#: More than all jobs there are.
ALL = 1_000
EXACT = 2**53

names = (f"r{number}" for number in itertools.count())
periods = st.integers(1, 90 * SECOND) | st.integers(1, 20) | st.integers(1, 10**13)
#: Microseconds: within a window or an interval, about one, over several.
moves = st.integers(0, 30) | st.integers(0, 200 * SECOND) | st.integers(0, 10**13)


def rates(*algorithms: Algorithm) -> st.SearchStrategy[Rate]:
    """Rates that every store can keep."""
    return st.builds(
        lambda period, limit, burst, algorithm: Rate(
            limit=min(limit, period), period=period, burst=burst, algorithm=algorithm
        ),
        periods,
        st.integers(1, 12),
        st.integers(1, 5),
        st.sampled_from(algorithms),
    ).filter(lambda rate: max(rate.limit * rate.period, rate.burst * interval(rate)) <= EXACT)


any_rates = rates(*Algorithm)
steps = st.lists(
    st.tuples(moves, st.just(ALL) | st.integers(1, 6), st.none() | any_rates, st.booleans()), min_size=2, max_size=9
)
quick = settings(
    max_examples=20,
    deadline=None,
    # To shrink a failure takes longer than a test may.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Beside:
    """Reckons beside a store."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.meter = Meter()

    def change(self, rate: Rate) -> None:
        if rate != self.rate:
            self.meter = Meter()
        self.rate = rate

    def compare(self, batch: ClaimBatch, asked: int, left: int) -> int:
        """Compare what a claim handed out, and when it says that the next comes; return how many are left."""
        now = batch.now
        room = permits(self.rate, self.meter, now)
        number = min(room, asked, left)
        assert len(batch.claims) == number, (self.rate, self.meter, now)
        self.meter = spent(self.rate, self.meter, now, number) if number else self.meter
        if number < min(asked, left):
            assert batch.wait == next_at(self.rate, self.meter, now) - now, (self.rate, self.meter, now)
        elif number < left and asked < room:
            assert batch.wait == 0
        return left - number


async def _go_through(
    harness: StoreHarness,
    name: str,
    first: Rate,
    taken: list[tuple[int, int, Rate | None, bool]],
    declare: Callable[[Rate | None], Awaitable[None]],
) -> None:
    beside = Beside(first)
    left = NUMBER
    await declare(first)
    for move, asked, rate, bare in taken:
        harness.clock.move(move / SECOND)
        if rate is not None:
            if bare:
                await declare(None)
            await declare(rate)
            beside.change(rate)
        left = beside.compare(await harness.backend.jobs.claim(ask(queues=(name,), limit=asked)), asked, left)


@pytest.mark.anyio
@quick
@given(first=any_rates, taken=steps)
async def test_a_lane(harness: StoreHarness, first: Rate, taken: list[tuple[int, int, Rate | None, bool]]) -> None:
    """A lane's rate, also after a time without one."""
    backend, name = harness.backend, next(names)
    await publish(backend)

    async def declare(rate: Rate | None) -> None:
        await backend.limits.declare({name: Limit(rate=rate)})

    await add_each(backend, [new(queue=name, lanes=(name,)) for _ in range(NUMBER)])
    await _go_through(harness, name, first, taken, declare)
    await _clear(backend, name)


@pytest.mark.anyio
@quick
@given(first=any_rates, taken=steps)
async def test_a_queue(harness: StoreHarness, first: Rate, taken: list[tuple[int, int, Rate | None, bool]]) -> None:
    """A queue's rate, also after a time without one."""
    backend, name = harness.backend, next(names)
    await publish(backend)

    async def declare(rate: Rate | None) -> None:
        await backend.queues.set(QueueRecord(name=name, rate=rate))

    await add_each(backend, [new(queue=name) for _ in range(NUMBER)])
    await _go_through(harness, name, first, taken, declare)


@pytest.mark.anyio
@quick
@given(
    rate=rates(Algorithm.GCRA),
    deposit=st.integers(0, 100) | st.integers(0, 60 * SECOND) | st.integers(0, 10**16),
    taken=st.lists(st.tuples(moves, st.integers(0, 4), st.just(ALL) | st.integers(1, 6)), min_size=2, max_size=9),
)
async def test_a_budget(harness: StoreHarness, rate: Rate, deposit: int, taken: list[tuple[int, int, int]]) -> None:
    """A budget of retries, with the deposits of first attempts."""
    backend, name = harness.backend, next(names)
    await publish(backend)
    fields: dict[str, Any] = {"lanes": (name,)}
    await add_each(backend, [new(queue=name, **fields) for _ in range(NUMBER)])
    for claimed in (await backend.jobs.claim(ask(queues=(name,), limit=ALL))).claims:
        await settle(backend, claimed, JobState.PENDING, failed=1)
    await backend.limits.declare({name: Limit(rate=rate, deposit=deposit)})
    beside = Beside(rate)
    left = NUMBER
    for move, fresh, asked in taken:
        harness.clock.move(move / SECOND)
        jobs = [new(queue=f"{name}-fresh", **fields) for _ in range(fresh)]
        await add_each(backend, jobs)
        claims = (await backend.jobs.claim(ask(queues=(f"{name}-fresh",), limit=ALL))).claims
        assert ids(claims) == ids(jobs)
        for _ in claims:
            beside.meter = deposited(beside.meter, deposit, 1)
        left = beside.compare(await backend.jobs.claim(ask(queues=(name,), limit=asked)), asked, left)
    await _clear(backend, name)


async def _clear(backend: Backend, name: str) -> None:
    """Leave nobody at a lane, since every claim tells of when it opens."""
    await backend.limits.declare({name: Limit()})
    await backend.jobs.claim(ask(queues=(name,), limit=ALL))
    (record,) = (await backend.limits.lanes([name])).lanes
    assert not record.parked
