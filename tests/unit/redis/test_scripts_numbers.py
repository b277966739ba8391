"""Scripts count in floating point, and lose nothing: numbers of 64 bits, tokens by time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner.errors import StoreRefused
from backburner.model.clock import SECOND, SystemClock
from backburner.model.job import Attempt, Ending, JobImage, JobRecord, JobState, Settlement
from backburner.ports.jobs import Birth
from backburner.testing.contracts.making import (
    add,
    add_claimed,
    claim,
    ids,
    keyed,
    new,
    publish,
    read,
    recover,
    settle,
)
from tests.unit.redis.conftest import store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backburner.backends.redis.backend import RedisBackend
    from backburner.testing.clock import FakeClock

BIGGEST = (1 << 63) - 1


@pytest.fixture
async def timed(url: str) -> AsyncIterator[RedisBackend]:
    """A store on the server's own clock."""
    async with store(url, SystemClock()) as backend:
        yield backend


def image(**fields: Any) -> JobImage:  # noqa: ANN401 - any field of a record
    """Make a whole job that waits."""
    job = new()
    record = JobRecord(
        id=job.id,
        kind=job.kind,
        queue=job.queue,
        state=JobState.PENDING,
        gate="",
        priority=job.priority,
        args=job.args,
        result=None,
        reason=None,
        tags=(),
        attempt=0,
        failures=0,
        crashes=0,
        interruptions=0,
        token=0,
        node=None,
        cancel=False,
        timeout=None,
        retry=None,
        backoff=None,
        created_at=1,
        due_at=1,
        expires_at=None,
        started_at=None,
        ended_at=None,
        error="",
        message="",
        fingerprint="",
    )
    return JobImage(record=msgspec.structs.replace(record, **fields))


async def test_no_bit_is_lost_of_a_new_job(backend: RedisBackend, clock: FakeClock) -> None:
    """Numbers beyond 53 bits come back exactly, also those that a script has worked out."""
    room = BIGGEST - clock.now() - 1
    job = await add(backend, delay=room, expires_in=room, timeout=BIGGEST, unique=keyed(period=room))
    (whole,) = (await backend.reader.export(limit=10)).jobs
    assert (whole.record.id, whole.record.timeout) == (job.id, BIGGEST)
    assert (whole.record.due_at, whole.record.expires_at, whole.unique_until) == (BIGGEST - 1,) * 3
    exact = await add(backend, at=BIGGEST - 2, expires_at=-BIGGEST)
    record = await read(backend, exact.id)
    assert (record.due_at, record.expires_at) == (BIGGEST - 2, -BIGGEST)


async def test_no_bit_is_lost_of_a_settlement(backend: RedisBackend, clock: FakeClock) -> None:
    """Nor of what a settlement says; nor of a token, whose neighbour is stale."""
    await publish(backend)
    job = new()
    token = (1 << 62) + 1
    await backend.jobs.enqueue([[job]], Birth("node", {job.id: token}))
    settlement = Settlement(
        id=job.id,
        token=token,
        state=JobState.PENDING,
        delay=BIGGEST - clock.now(),
        backoff=BIGGEST,
        progress=(BIGGEST - 1, BIGGEST),
    )
    near = msgspec.structs.replace(settlement, token=token - 1)
    assert (await backend.jobs.settle("node", [near])).stale == (job.id,)
    assert (await backend.jobs.settle("node", [settlement])).stale == ()
    record = await read(backend, job.id)
    assert (record.due_at, record.backoff, record.done, record.total) == (BIGGEST, BIGGEST, BIGGEST - 1, BIGGEST)
    assert record.token == token


async def test_a_beat_loses_no_bit(backend: RedisBackend) -> None:
    """Nor of the tokens that a beat answers."""
    await publish(backend)
    job = new()
    token = (1 << 62) + 1
    await backend.jobs.enqueue([[job]], Birth("node", {job.id: token}))
    async with backend.keeper() as keeper:
        (held,) = (await keeper.beat("node", SECOND)).claims
    assert (held.id, held.token, held.cancel) == (job.id, token, False)


async def test_the_line_is_in_order_whatever_the_numbers(backend: RedisBackend, clock: FakeClock) -> None:
    """What waits since before 1970 comes first, what waits for the end of time does not come."""
    await publish(backend)
    images = [image(due_at=due) for due in (clock.now(), -5, 1, BIGGEST)]
    await backend.admin.restore(images)
    now, negative, early, never = (each.record.id for each in images)
    assert ids(await claim(backend)) == [negative, early, now]
    assert (await read(backend, negative)).due_at == -5
    assert (await read(backend, never)).state is JobState.PENDING


async def test_counters_beyond_32_bits_are_refused(backend: RedisBackend) -> None:
    """A whole job whose counters are beyond those kept here is refused, and named."""
    flawed = image(attempt=1 << 32)
    with pytest.raises(StoreRefused, match="attempt is 4294967296") as refused:
        await backend.admin.restore([flawed])
    assert refused.value.job_id == flawed.record.id
    attempt = Attempt(attempt=-1, ending=Ending.FAILED, node="n", started_at=0, ended_at=1)
    with pytest.raises(StoreRefused, match="an attempt's number is -1"):
        await backend.admin.restore([msgspec.structs.replace(image(), history=(attempt,))])


async def test_a_token_is_at_least_the_time(timed: RedisBackend) -> None:
    """By the server's clock tokens are instants: after a failover that lost a claim, its token is not drawn again."""
    await publish(timed)
    claimed = await add_claimed(timed)
    assert claimed.token == claimed.claimed_at
    await settle(timed, claimed, JobState.PENDING)
    (again,) = await claim(timed)
    assert again.token == again.claimed_at > claimed.token


async def test_a_token_ahead_of_the_time_grows(timed: RedisBackend) -> None:
    """A job whose token is ahead of the server's clock gets the next one."""
    await publish(timed)
    job = new()
    token = SystemClock().now() + 3600 * SECOND
    assert (await timed.jobs.enqueue([[job]], Birth("node", {job.id: token}))).groups[0].born == (job.id,)
    await timed.nodes.withdraw("node")
    await publish(timed, "other")
    (lapsed,) = (await recover(timed, "other")).jobs
    assert lapsed.claim.token == token + 1
