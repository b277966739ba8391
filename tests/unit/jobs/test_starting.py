"""A start: which schema is installed or upgraded, what is found in the store, and a store that goes away later."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner
from backburner.backends.memory import MemoryBackend
from backburner.errors import ClaimLost, SchemaTooOld, StoreBusy, StoreUnavailable
from backburner.jobs.run import Why
from backburner.ports.backend import Finding, Hint, Level, Migration, SchemaState
from backburner.ports.jobs import CancelAnswer, Enqueued, GroupAnswer, Settled
from backburner.ports.telemetry import Signal
from backburner.testing.clock import FakeClock
from tests.unit.jobs.engines import House
from tests.unit.jobs.told import Ear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.jobs.floor import Floor

_STEP = Migration(1, "initial", "", "")


class Tables:
    """A `Schema` at some version, that says whether an engine may upgrade it."""

    steps = ()

    def __init__(self, current: int, *, unattended: bool) -> None:
        self.current = current
        self.unattended = unattended
        self.upgrades = 0

    async def state(self) -> SchemaState:
        return SchemaState(current=self.current, wanted=2, pending=(_STEP,) * (2 - self.current))

    async def upgrade(self) -> SchemaState:
        before = await self.state()
        self.upgrades += bool(before.pending)
        self.current = 2
        return before


@pytest.mark.parametrize(
    ("current", "unattended", "migrate", "upgrades"),
    [
        (0, False, True, 1),
        (0, True, True, 1),
        (1, True, True, 1),
        (2, False, True, 0),
        (2, False, False, 0),
        (1, False, True, None),
        (1, True, False, None),
        (0, True, False, None),
        (0, False, False, None),
    ],
)
async def test_what_a_start_does_to_a_schema(
    current: int, *, unattended: bool, migrate: bool, upgrades: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty store is installed, an older one upgraded where that may go unattended; otherwise it is an operator's."""
    tables = Tables(current, unattended=unattended)
    init = MemoryBackend.__init__

    def with_tables(self: MemoryBackend, *args: object) -> None:
        init(self, *args)  # type: ignore[arg-type]
        self.schema = tables  # type: ignore[assignment]

    monkeypatch.setattr(MemoryBackend, "__init__", with_tables)
    bb = Backburner("memory://", listener=Ear(), migrate=migrate)
    if upgrades is None:
        with pytest.raises(SchemaTooOld, match=f"has schema {current}, .* needs 2: run `backburner db upgrade`"):
            await bb.__aenter__()
        assert tables.current == current
    else:
        async with bb:
            assert (tables.current, tables.upgrades) == (2, upgrades)


async def test_findings_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings and problems are told at the first start, each once, with their mend; what is good is not."""

    async def examine(_: MemoryBackend) -> tuple[Finding, ...]:
        return (
            Finding(check="version", level=Level.GOOD, found="18"),
            Finding(check="durability", level=Level.WARNING, found="AOF is off", mend="set appendonly yes"),
            Finding(check="eviction", level=Level.PROBLEM, found="keys are evicted", mend="set noeviction"),
        )

    monkeypatch.setattr(MemoryBackend, "examine", examine)
    house = House()
    async with house.bb:
        pass
    async with house.bb.worker():
        pass
    assert house.ear.told(Signal.STORE_FINDING) == [
        {"check": "durability", "found": "AOF is off", "mend": "set appendonly yes"},
        {"check": "eviction", "found": "keys are evicted", "mend": "set noeviction"},
    ]


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), ValueError(), None], ids=["typed", "unforeseen", "hangs"])
async def test_a_diagnosis_that_fails_stops_no_start(monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    """Whatever looking the store over raises, or if it never ends, is a finding, and the engine starts."""

    async def examine(_: MemoryBackend) -> tuple[Finding, ...]:
        if error is not None:
            raise error
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(MemoryBackend, "examine", examine)
    house = House(write_timeout=0.1)
    async with house.bb:
        assert house.bb.ready
    (told,) = house.ear.told(Signal.STORE_FINDING)
    assert told["check"] == "examination"
    assert "could not be examined" in str(told["found"])


# ---- a caller beside a stranger's transaction ----------------------------------------------------------------------


class Busy:
    """A store whose every row is locked."""

    async def enqueue(self, groups: Sequence[object], *_: object) -> Enqueued:
        return Enqueued(0, (GroupAnswer(busy=True),) * len(groups))

    async def settle(self, *_: object) -> Settled:
        return Settled(now=0, busy=("a",))


async def test_a_job_of_ones_own_transaction_that_is_busy_is_refused_at_once() -> None:
    """With `tx=` nobody waits: the error says that nothing was stored and that the transaction goes on."""
    house = House()

    @house.bb.job
    async def work() -> None: ...

    async with house.bb:
        client = house.engine.client
        client._jobs = Busy()  # type: ignore[assignment]
        client._transactions = SimpleNamespace(is_open=lambda _: True)
        tx = SimpleNamespace()
        with pytest.raises(StoreBusy, match=r"somebody's open transaction: .* your transaction stays usable") as caught:
            await house.bb.create_task(work(), id="a", tx=tx)
        assert (caught.value.stored, caught.value.job_id) == ("no", "a")
        assert not client._joined.open
        assert not client.commits._watched


async def test_cancelling_what_stays_locked() -> None:
    """A cancel that met a transaction until its time was up may come to be yet, and says so; the others were cancelled."""
    house = House()

    @house.bb.job
    async def work() -> None: ...

    async with house.bb:
        handles = await house.bb.create_tasks([work() for _ in range(2)], delay=60)
        first, second = (handle.id for handle in handles)

        async def cancel(ids: Sequence[str], reason: str = "") -> CancelAnswer:
            del reason
            return CancelAnswer(now=0, cancelled=tuple(ids[1:]), busy=tuple(ids[:1]))

        house.engine.client.intake.cancel = cancel  # type: ignore[method-assign]
        with pytest.raises(StoreBusy, match=f"{first} is locked .* may be cancelled yet") as caught:
            await handles[0].cancel()
        assert (caught.value.stored, caught.value.job_id) == ("unknown", first)
        with pytest.raises(StoreBusy):
            await house.engine.client.cancel_group([first, second])
        assert handles[1].done()


async def test_a_completion_in_ones_own_transaction_that_is_busy(floor: Floor) -> None:
    """A row that another transaction holds completes nothing: the run learns it, and goes on."""
    floor.desk._store = Busy()  # type: ignore[assignment]
    floor.desk._transactions = SimpleNamespace(is_open=lambda _: True)
    heard: list[BaseException] = []

    async def work() -> str:
        run = floor.executor.runs["a"]
        try:
            await floor.desk.complete(run, "done", object())
        except StoreBusy as error:
            heard.append(error)
        assert not floor.desk._completed(run)
        run.why = Why.LOST
        with pytest.raises(ClaimLost):
            await floor.desk.complete(run, "done", object())
        run.why = None
        return "done"

    end = await floor.run(work)
    assert [str(error) for error in heard] == [
        "job a is locked in somebody else's open transaction: nothing was written, and yours stays usable"
    ]
    assert end.state.value == "completed"


async def test_a_transaction_that_was_joined_is_watched() -> None:
    """What was stored in one's own transaction is looked for in its queues once that is over; duplicates are not."""
    house = House(queues={"default": 1, "mail": 1})

    @house.bb.job
    async def work() -> None: ...

    class Joins:
        async def enqueue(self, *_: object) -> Enqueued:
            return Enqueued(0, (GroupAnswer(duplicates=("known",)),))

    async with house.bb:
        client = house.engine.client
        client._jobs = Joins()  # type: ignore[assignment]
        client._transactions = client._joined._transactions = SimpleNamespace(is_open=lambda tx: tx.open)
        watched: list[tuple[object, set[str]]] = []
        client.commits.watch = lambda tx, queues: watched.append((tx, set(queues)))  # type: ignore[method-assign]
        tx = SimpleNamespace(open=True)
        await house.bb.create_task(work(), id="new", queue="mail", tx=tx)
        await house.bb.create_task(work(), id="known", tx=tx)
        assert watched == [(tx, {"mail"})]
        tx.open = False


async def test_a_committed_job_is_looked_for_at_once() -> None:
    """Once the connection has left its transaction this node claims from the jobs' queues, and tells the others."""
    house = House(queues={"default": 1, "mail": 1})
    hints: list[Hint] = []
    async with house.bb:
        engine = house.engine
        engine._hints.tell = lambda hint, **_: hints.append(hint)  # type: ignore[method-assign]
        asked: list[tuple[str, int]] = []
        house.worker.midwife.expect = lambda queue, delay: asked.append((queue, delay))  # type: ignore[method-assign]
        engine.client.commits._joined = SimpleNamespace(is_open=lambda tx: tx.open, forget_ended=lambda: None)  # type: ignore[assignment]
        tx = SimpleNamespace(open=True)
        engine.client.commits.watch(tx, {"mail"})
        tx.open = False
        async with asyncio.timeout(5):
            while not hints:
                await asyncio.get_running_loop().run_in_executor(None, str)
        assert (asked, hints) == ([("mail", 0)], [Hint.JOBS])


# ---- a store that goes away ----------------------------------------------------------------------------------------


async def test_a_store_away_for_a_minute() -> None:
    """Callers wait write_timeout and no longer, nothing that ran is lost, readiness tells, and all goes on by itself."""
    clock = FakeClock()
    house = House(clock=clock, write_timeout=5)
    gate = asyncio.Event()

    @house.bb.job
    async def work() -> str:
        await gate.wait()
        return "done"

    entering = asyncio.ensure_future(house.bb.__aenter__())
    await clock.settle()
    await entering
    running = await house.bb.create_task(work())
    awaited = asyncio.ensure_future(_result(running))
    await clock.settle()
    assert house.bb.ready
    house.backend._connection.close()
    gate.set()
    storing = asyncio.ensure_future(house.bb.create_task(work(), id="late"))
    cancelling = asyncio.ensure_future(running.cancel())
    await clock.settle()
    await clock.advance(4)
    assert not storing.done()
    await clock.advance(1.1)
    with pytest.raises(StoreUnavailable) as caught:
        await storing
    assert (caught.value.stored, caught.value.job_id) == ("no", "late")
    with pytest.raises(StoreUnavailable):
        await cancelling
    await clock.advance(55)
    assert not house.bb.ready
    assert not awaited.done()
    assert house.ear.told(Signal.STORE_RECOVERED) == []
    waiting = [fields["loop"] for fields in house.ear.told(Signal.STORE_WAITING)]
    assert {"intake", "settler", "keeper", "steward", "handles"} <= set(waiting)
    # Each loop says so again at each try, and tries ever more seldom.
    assert all(waiting.count(loop) <= 16 for loop in set(waiting))
    house.backend._connection.open(write=True)
    await clock.advance(15)
    assert await awaited == "done"
    assert house.bb.ready
    assert {fields["loop"] for fields in house.ear.told(Signal.STORE_RECOVERED)} >= {"settler", "keeper", "steward"}
    later = asyncio.ensure_future(house.bb.create_task(work(), id="late"))
    await clock.settle()
    await clock.advance(1)
    assert (await later).existed is False
    leaving = asyncio.ensure_future(house.bb.__aexit__(None, None, None))
    await clock.settle()
    await clock.advance(30)
    await leaving


async def test_an_idle_node_knows_that_its_store_is_away() -> None:
    """Nobody stores and nothing runs: its beats tell, and readiness follows them both ways."""
    clock = FakeClock()
    house = House(clock=clock)
    async with house.bb:
        await clock.advance(15)
        assert house.bb.ready
        house.backend._connection.close()
        await clock.advance(11)
        assert not house.bb.ready
        house.backend._connection.open(write=True)
        await clock.advance(11)
        assert house.bb.ready


async def _result(handle: object) -> object:
    return await handle  # type: ignore[misc]
