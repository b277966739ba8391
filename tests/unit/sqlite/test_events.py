"""Events in SQLite: what they do to the file, whose numbers they get, and what they cost those who change jobs."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from backburner.backends.sqlite import schema as schema_module
from backburner.backends.sqlite.backend import SqliteBackend
from backburner.errors import SchemaTooOld, StoreRefused
from backburner.model.clock import SECOND
from backburner.model.event import NewEvent, NewSubscription
from backburner.model.job import Ending, JobState, Settlement
from backburner.model.node import QueueRecord
from backburner.model.schedule import ScheduleChange, ScheduleRecord
from backburner.ports.events import Confirmation
from backburner.ports.jobs import Birth, GroupAnswer, Keep
from tests.unit.sqlite.making import completed, demand, new, node

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from backburner.testing import FakeClock

MANY = 500


def _kept(name: str = "order.paid", id: str | None = None) -> NewEvent:
    return NewEvent(name=name, id=id, kept=True)


async def _subscribe(backend: SqliteBackend, *patterns: str, name: str = "sub") -> int:
    answer = await backend.events.subscribe(NewSubscription(name=name, patterns=patterns or ("*",), ttl=SECOND))
    return answer.subscription.cursor


async def _told(backend: SqliteBackend) -> list[tuple[int, str]]:
    return [(event.number, event.name) for event in (await backend.event_reader.read(limit=9_999)).events]


async def _statements(backend: SqliteBackend) -> list[str]:
    """Return a list of what is executed on the writing connection from now on."""
    statements: list[str] = []
    await backend._session.write(lambda connection: connection.set_trace_callback(statements.append))
    statements.clear()
    return statements


# ---- numbers ---------------------------------------------------------------------------------------------------------


async def test_every_log_has_a_name_of_its_own(tmp_path: Path, clock: FakeClock) -> None:
    """Two stores are two logs, and a store's name stays when it is opened again."""
    names: list[str] = []
    for file in ("one.db", "two.db", "one.db"):
        backend = SqliteBackend(tmp_path / file, clock=clock)
        await backend.open(create=True)
        await backend.schema.upgrade()
        names.append((await backend.event_reader.subscriptions()).log)
        await backend.close()
    assert names[0] == names[2] != names[1]


async def test_no_number_is_left_out(backend: SqliteBackend) -> None:
    """What is refused, rolled back, stored before or asked for by nobody takes no number from others."""
    await backend.events.append([_kept("a", id="one")])
    for flawed in (_kept("b\0"), _kept("b", id="\ud800")):
        with pytest.raises(StoreRefused, match="cannot be stored"):
            await backend.events.append([_kept("b"), flawed])
    await backend.events.append([_kept("b", id="one"), NewEvent(name="b")])
    await asyncio.gather(
        backend.events.append([_kept("c")]),
        backend.queues.set(QueueRecord(name="queue"), events=[_kept("c")]),
        backend.events.append([_kept("c")]),
    )
    assert await _told(backend) == [(1, "a"), (2, "c"), (3, "c"), (4, "c")]


async def test_what_is_deleted_is_the_front_of_the_log(backend: SqliteBackend, clock: FakeClock) -> None:
    """Where the clock was put back, an event waits for those before it: none is missing between two that are there."""
    for moved in (0, 100, -100, 50):
        clock.move(moved)
        await backend.events.append([_kept()])
    keep = Keep(completed=None, cancelled=None, dead=None, events=10 * SECOND)
    assert await backend.admin.prune(keep, 9) == 1
    assert [number for number, _ in await _told(backend)] == [2, 3, 4]
    clock.move(60)
    assert await backend.admin.prune(keep, 9) == 3
    page = await backend.event_reader.read(limit=9)
    assert (page.events, page.pruned, page.last) == ((), 4, 4)


# ---- what a change costs ---------------------------------------------------------------------------------------------


async def _enqueue(backend: SqliteBackend) -> None:
    jobs = [new(f"new{number}", priority=9, lanes=("a",) if number % 2 else ()) for number in range(MANY)]
    await backend.jobs.enqueue([jobs])


async def _bear(backend: SqliteBackend) -> None:
    jobs = [new(f"born{number}", queue="empty") for number in range(9)]
    (answer,) = (await backend.jobs.enqueue([jobs], Birth("node", {job.id: 7 for job in jobs}))).groups
    assert len(answer.born) == 9


async def _claim(backend: SqliteBackend) -> None:
    assert len((await backend.jobs.claim(demand(MANY))).claims) == MANY


async def _settle(backend: SqliteBackend) -> None:
    claims = (await backend.jobs.claim(demand(MANY))).claims
    again = [
        Settlement(id=each.id, token=each.token, state=JobState.PENDING, ending=Ending.FAILED, failed=1)
        for each in claims[::2]
    ]
    settled = await backend.jobs.settle("node", [*completed(claims[1::2]), *again], demand(9))
    assert (settled.stale, settled.batch is not None) == ((), True)


async def _cancel(backend: SqliteBackend) -> None:
    assert len((await backend.admin.cancel([f"job{number}" for number in range(MANY)])).cancelled) == MANY


async def _fire(backend: SqliteBackend) -> None:
    changes = [
        ScheduleChange(
            schedule=ScheduleRecord(name=f"s{number}", version=0, kind="kind", rule="{}", job="{}"),
            jobs=(new(f"fired{number}"),),
            events=(NewEvent(name="schedule.fired", subject=f"s{number}"),),
        )
        for number in range(MANY)
    ]
    assert not any(answer.outrun or answer.refused for answer in (await backend.schedules.change(changes)).changes)


#: Each with how many times it looks what is asked for, and how many statements events then take.
COSTS = {
    "enqueue": (_enqueue, 1, 1),
    "bear": (_bear, 1, 1),
    "claim": (_claim, 1, 1),
    # Two verbs; of the second the plain ends, the others, and the claim that rides along.
    "settle": (_settle, 2, 4),
    "cancel": (_cancel, 1, 1),
    "fire": (_fire, 1, 2),
}


@pytest.mark.parametrize("asked", [False, True], ids=["nobody", "somebody"])
@pytest.mark.parametrize(("verb", "looks", "writes"), COSTS.values(), ids=COSTS)
async def test_one_look_a_verb(
    backend: SqliteBackend,
    verb: Callable[[SqliteBackend], Awaitable[None]],
    looks: int,
    writes: int,
    *,
    asked: bool,
) -> None:
    """However many jobs a verb changes, it looks once; where somebody asks, all its events of a sort are one statement."""
    await backend.nodes.publish(node(), 1)
    await backend.jobs.enqueue([[new(f"job{number}") for number in range(MANY)]])
    if asked:
        await _subscribe(backend)
    statements = await _statements(backend)
    await verb(backend)
    assert sum("FROM backburner_subscriptions" in each for each in statements) == looks
    assert sum("INSERT INTO backburner_events" in each for each in statements) == (writes if asked else 0)
    assert bool(await _told(backend)) is asked


# ---- confirming ------------------------------------------------------------------------------------------------------


async def test_many_confirmations_are_few_statements(backend: SqliteBackend) -> None:
    """A hundred subscriptions move on, each with its jobs, by a handful of statements."""
    for number in range(100):
        await _subscribe(backend, name=f"s{number:03}")
    await backend.events.append([_kept()])
    statements = await _statements(backend)
    given = [Confirmation(name=f"s{number:03}", cursor=0, upto=1, jobs=(new(f"j{number}"),)) for number in range(100)]
    assert (await backend.events.confirm(given)).groups == (GroupAnswer(),) * 100
    assert len(statements) < 15


async def test_a_poisoned_confirmation_is_found_in_few_tries(backend: SqliteBackend) -> None:
    """One of a hundred whose job is refused costs some fifteen tries, and stays where it was; the others are made."""
    for number in range(100):
        await _subscribe(backend, name=f"s{number:03}")
    await backend.events.append([_kept()])
    given = [
        Confirmation(name=f"s{number:03}", cursor=0, upto=1, jobs=(new(f"j{number}", priority=99 * (number == 42)),))
        for number in range(100)
    ]
    statements = await _statements(backend)
    groups = (await backend.events.confirm(given)).groups
    assert [number for number, group in enumerate(groups) if group is None or group.refused] == [42]
    assert sum("SAVEPOINT confirmations" in each and "RO" not in each for each in statements) < 20
    moved = [one.cursor for one in (await backend.event_reader.subscriptions()).subscriptions]
    assert [number for number, cursor in enumerate(moved) if not cursor] == [42]


async def test_two_confirmations_of_one_subscription(backend: SqliteBackend) -> None:
    """The second in one call goes on from where the first leads; one that does not is not heard."""
    await _subscribe(backend)
    await backend.events.append([_kept(), _kept(), _kept()])
    given = [Confirmation(name="sub", cursor=start, upto=end) for start, end in ((0, 1), (1, 3), (1, 2), (0, 1))]
    assert (await backend.events.confirm(given)).groups == (GroupAnswer(), GroupAnswer(), None, None)
    (subscription,) = (await backend.event_reader.subscriptions()).subscriptions
    assert subscription.cursor == 3


# ---- callers' transactions -------------------------------------------------------------------------------------------


async def test_in_a_session_of_sqlalchemy(backend: SqliteBackend, path: Path) -> None:
    """Events, and what is told of jobs, come with the commit of a session, and take no number where it rolls back."""
    await _subscribe(backend)
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    async with AsyncSession(engine) as session:
        for number, ends in enumerate((session.rollback, session.commit)):
            answer = await backend.events.append([NewEvent(name="a", id="one"), NewEvent(name="b")], tx=session)
            assert answer.stored == 2
            assert (await backend.events.append([NewEvent(name="c", id="one")], tx=session)).stored == 0
            await backend.jobs.enqueue([[new(f"{number}")]], tx=session)
            assert await _told(backend) == []
            await ends()
    await engine.dispose()
    assert await _told(backend) == [(1, "a"), (2, "b"), (3, "job.enqueued")]


# ---- older files -----------------------------------------------------------------------------------------------------


async def test_an_older_schema(path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file from before there were events says how to bring it up to date, and its jobs are told of from then on."""
    backend = SqliteBackend(path, clock=clock)
    await backend.open(create=True)
    with monkeypatch.context() as patch:
        patch.setattr(schema_module, "_STEPS", backend.schema.steps[:4])
        await backend.schema.upgrade()
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute("""
            INSERT INTO backburner_jobs (id, kind, queue, state, priority, created_at, due_at, ended_at, failures, args)
            VALUES ('dead', 'kind', 'queue', 'dead', 5, 1, 1, 1, 1, '{}'),
                   ('again', 'kind', 'queue', 'pending', 5, 1, 9999999999999999, NULL, 1, '{}')""")
    with pytest.raises(SchemaTooOld, match="backburner db upgrade"):
        await backend.events.append([_kept()])
    await backend.schema.upgrade()
    (queue,) = (await backend.reader.backlog()).queues
    assert (queue.dead, queue.retrying, queue.scheduled) == (1, 1, 0)
    await _subscribe(backend)
    await backend.admin.cancel(["again"])
    assert await _told(backend) == [(1, "job.cancelled")]
    await backend.close()
