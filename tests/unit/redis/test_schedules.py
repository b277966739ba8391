"""Schedules on Redis: what their scripts cost, keep and leave; no bit lost of their numbers, no key without an owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner.backends.redis.backend import RedisBackend
from backburner.errors import StoreFull, StoreReadOnly
from backburner.model.clock import SECOND
from backburner.model.job import JobState
from backburner.model.schedule import ScheduleChange
from backburner.ports.backend import Hint
from backburner.ports.jobs import Keep
from backburner.testing.contracts.making import new, publish, read
from backburner.testing.contracts.scheduling import change, fire, known, ledger, plan, schedule, skip, stored, tick
from tests.servers.redis import serve
from tests.unit.redis.conftest import store
from tests.unit.redis.test_scripts_bounds import calls

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from backburner.backends.redis.session import Session
    from backburner.testing.clock import FakeClock
    from tests.unit.redis.conftest import Opened

BIGGEST = (1 << 63) - 1
#: More than a script can hand to one command.
MANY = 9000
#: Keeps nothing that has ended, and no line.
AT_ONCE = Keep(completed=0, cancelled=0, dead=0, ticks=0)
#: What is there of schedules.
NAMES = {b"schedules", b"named", b"coming", b"ticks", b"ledger", b"lines", b"aging"}


def _fire(name: str, version: int = 0, due_at: int | None = 5) -> ScheduleChange:
    """Make the change that stores a new job for a tick of a schedule."""
    return fire(new(), schedule(name, version, due_at=due_at))


def _put(name: str, version: int = 0, due_at: int | None = 5) -> ScheduleChange:
    """Make the change that writes a schedule and nothing else."""
    return ScheduleChange(schedule=schedule(name, version, due_at=due_at))


async def test_no_bit_is_lost(backend: RedisBackend, clock: FakeClock) -> None:
    """The greatest and the least numbers come back exactly, and so does the wait for the end of time."""
    record = schedule(next_tick=BIGGEST, due_at=BIGGEST - 2, last_tick=-BIGGEST, fired_at=-5, paused_until=BIGGEST - 3)
    line = tick(-BIGGEST, last=BIGGEST, count=BIGGEST - 1, due_at=BIGGEST - 3, at=BIGGEST - 4)
    await change(backend, ScheduleChange(schedule=record, ticks=(line,)))
    found = await stored(backend)
    assert (found.next_tick, found.due_at, found.last_tick) == (BIGGEST, BIGGEST - 2, -BIGGEST)
    assert (found.fired_at, found.paused_until) == (-5, BIGGEST - 3)
    assert await ledger(backend) == [line]
    assert (await backend.schedules.due(10)).wait == BIGGEST - 2 - clock.now()


async def test_before_1970_is_before(backend: RedisBackend, clock: FakeClock) -> None:
    """What is due since before 1970 comes first; what is due in a microsecond does not come."""
    now = clock.now()
    dues = {"c": now, "a": now, "b": now - 1, "old": -5, "later": now + 1, "never": None}
    await change(backend, *(_put(name, 0, due) for name, due in dues.items()))
    due = await backend.schedules.due(10)
    assert ([each.name for each in due.schedules], due.wait) == (["old", "b", "a", "c"], 1)


async def test_more_than_fits_one_command(backend: RedisBackend) -> None:
    """However many lines and jobs one change has, and however many schedules are due, read, or lines pruned, it does."""
    jobs = tuple(new() for _ in range(MANY))
    lines = tuple(tick(id=f"{at:05}", job=job.id) for at, job in enumerate(jobs))
    (answer,) = await change(backend, ScheduleChange(schedule=schedule(), ticks=lines, jobs=jobs))
    assert (answer.outrun, answer.holders) == (False, {})
    names = [f"{at:05}" for at in range(MANY)]
    await change(backend, *map(_put, names))
    due = await backend.schedules.due(MANY)
    assert ([each.name for each in due.schedules], due.wait) == (names, None)
    assert await known(backend, names) == names
    assert len((await backend.schedule_reader.find(limit=2 * MANY)).schedules) == MANY + 1
    assert len(await ledger(backend, schedule="daily")) == MANY
    assert await backend.admin.prune(AT_ONCE, MANY - 1) == MANY - 1
    assert [each.id for each in await ledger(backend)] == [names[-1]]


async def test_very_many_changes_are_sent_in_portions(backend: RedisBackend, session: Session) -> None:
    """No script writes more than some hundreds of changes; each is answered, also one that a former portion outruns."""
    await plan(backend, "0500")
    changes = [_fire(f"{at:04}") for at in range(1000)]
    await session.client.call("CONFIG", "RESETSTAT")
    answers = await change(backend, *changes, _fire("0000", 1), _fire("0000"))
    assert (await calls(session))["evalsha"] == 7
    assert [at for at, answer in enumerate(answers) if answer.outrun] == [500, 1001]
    assert len(answers) == 1002
    assert len((await backend.reader.export(limit=2000)).jobs) == 1000


async def test_portions_that_were_written_are_not_denied(
    backend: RedisBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a later portion is refused, the call may have been heard, and repeated it is, each change once."""
    changes = [_fire(f"{at:04}") for at in range(400)]
    run = backend._session.scripts.run
    told = 0

    async def full_at_last(name: str, keys: Sequence[bytes], args: Sequence[str | bytes | int]) -> object:
        nonlocal told
        told += 1
        if told == 2:
            raise StoreFull("full", stored="no")
        return await run(name, keys, args)

    monkeypatch.setattr(backend._session.scripts, "run", full_at_last)
    with pytest.raises(StoreFull) as full:
        await change(backend, *changes)
    monkeypatch.undo()
    assert full.value.stored == "unknown"
    answers = await change(backend, *changes)
    written = [answer.outrun for answer in answers].index(False)
    assert 0 < written < 400
    assert [answer.outrun for answer in answers] == [True] * written + [False] * (400 - written)
    assert len((await backend.reader.export(limit=1000)).jobs) == 400


async def test_a_call_takes_few_steps(backend: RedisBackend, session: Session, clock: FakeClock) -> None:
    """A hundred schedules that fire together take as many commands as one."""

    async def cost(count: int, prefix: str) -> Counter[str]:
        changes = [_fire(f"{prefix}{at}", 0, clock.now() + SECOND) for at in range(count)]
        await session.client.call("CONFIG", "RESETSTAT")
        assert not any(answer.outrun for answer in await change(backend, *changes))
        return await calls(session)

    # The script is loaded.
    await cost(1, "a")
    one = await cost(1, "b")
    assert one["evalsha"] == 1
    assert await cost(100, "c") == one


async def test_no_key_is_left(backend: RedisBackend, clock: FakeClock) -> None:
    """When schedules are removed, lines pruned and jobs deleted, no key is left of any of them."""
    session = backend._session

    async def keys() -> set[bytes]:
        prefix = session.keys.meta.removesuffix(b"meta")
        return {key.removeprefix(prefix) for key in await session.client.call("KEYS", prefix + b"*")}

    await publish(backend)
    await change(backend, _fire("daily", 0, clock.now()), _fire("other"), _put("bare"))
    await change(backend, ScheduleChange(schedule=schedule("other", 1), ticks=(skip(schedule="other"),)))
    assert await keys() >= NAMES
    for name, version in (("daily", 2), ("daily", 0), ("daily", 1 << 70), ("nobody\0\ud800", 1)):
        assert not await backend.schedules.remove(name, version)
    for name, version in (("daily", 1), ("other", 2), ("bare", 1)):
        assert await backend.schedules.remove(name, version)
    assert await keys() & NAMES == {b"ticks", b"ledger", b"lines", b"aging"}
    await backend.admin.cancel([image.record.id for image in (await backend.reader.export(limit=10)).jobs])
    while await backend.admin.prune(AT_ONCE, 2):
        pass
    await backend.nodes.withdraw("node")
    assert await keys() == {b"meta"}


@pytest.mark.usefixtures("servers")
async def test_a_full_store_takes_no_jobs(opened: Opened, clock: FakeClock) -> None:
    """A server without memory refuses what stores jobs, whole; schedules are paused and removed, and lines pruned."""
    with serve() as server:
        async with store(server.url, clock) as backend, opened(server.url) as session:
            first = _fire("daily")
            await change(backend, first)
            await session.client.call("CONFIG", "SET", "maxmemory", 1)
            with pytest.raises(StoreFull) as full:
                await change(backend, _put("other"), _fire("daily", 1), _fire("new"))
            assert full.value.stored == "no"
            assert await known(backend, ["daily", "other", "new"]) == ["daily"]
            assert (await stored(backend)).version == 1
            # What was stored before is found so, and what is outrun stores nothing.
            again = ScheduleChange(schedule=schedule("daily", 1, paused=True), jobs=first.jobs)
            answers = await change(backend, _fire("daily"), again)
            assert [answer.outrun for answer in answers] == [True, False]
            assert (await stored(backend)).paused
            assert (await read(backend, first.jobs[0].id)).state is JobState.PENDING
            assert await backend.schedules.remove("daily", 2)
            assert await backend.admin.prune(AT_ONCE, 10) == 1


async def test_what_comes_earlier_is_told(backend: RedisBackend) -> None:
    """Others are told of a schedule that is due earlier than it was, and not of one that fired, or comes later."""
    client, hints = backend._session.client, backend._session.keys.hints
    wire = await client.dedicated()
    heard: list[bytes] = []
    try:
        await wire.send_command("SUBSCRIBE", hints)
        await wire.read_response()
        for version, due in enumerate((10, 20, None, 30, 29, 29)):
            await change(backend, _put("daily", version, due))
            await client.call("PUBLISH", hints, str(due))
        while heard.count(b"29") < 2:
            heard.append((await wire.read_response())[2])
    finally:
        await wire.disconnect(nowait=True)
    told = Hint.CONTROL.value.encode()
    assert heard == [told, b"10", b"20", b"None", told, b"30", told, b"29", b"29"]


async def test_opened_for_reading(backend: RedisBackend, clock: FakeClock) -> None:
    """Opened for reading, what is due, schedules and lines are read, and nothing is changed."""
    await change(backend, _fire("daily"))
    reader = RedisBackend(backend._session.place, clock=clock)
    await reader.open(create=False, write=False)
    try:
        assert (await reader.schedules.due(1)).unended == {"daily"}
        assert (await stored(reader)).version == 1
        assert len(await ledger(reader)) == 1
        with pytest.raises(StoreReadOnly):
            await change(reader, _put("other"))
        with pytest.raises(StoreReadOnly):
            await reader.schedules.remove("daily", 1)
    finally:
        await reader.close()
