"""Schedules in SQLite: what one call of `change` does to the file, and what it leaves alone."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.errors import SchemaTooOld, StoreReadOnly
from backburner.model.job import JobState, UniqueKey
from backburner.model.schedule import Outcome, ScheduleChange, ScheduleRecord, TickRecord
from backburner.ports.jobs import Keep
from backburner.ports.schedules import ChangeAnswer
from tests.unit.sqlite.making import new

if TYPE_CHECKING:
    from pathlib import Path

    from backburner.model.job import NewJob
    from backburner.testing import FakeClock

DONE = ChangeAnswer()
OUTRUN = ChangeAnswer(outrun=True)
HELD = (JobState.PENDING, JobState.RUNNING)
#: Jobs that `enqueue` writes each in a way of its own.
JOBS: dict[str, dict[str, Any]] = {
    "plain": {},
    "full": {"delay": 5, "timeout": 7, "tags": ("a", "b"), "priority": 1},
    "linked": {"headers": '{"a":"b"}', "lanes": ("schedule/daily",), "tags": ("a",)},
    "unique": {"unique": UniqueKey("key", HELD, 9)},
    "child": {"parent": "parent", "retry": "{}"},
}


def _schedule(name: str = "daily", version: int = 0, **fields: Any) -> ScheduleRecord:  # noqa: ANN401 - any field
    given: dict[str, Any] = {"name": name, "version": version, "kind": "kind", "rule": "{}", "job": "{}"}
    return ScheduleRecord(**given | fields)


def _change(name: str = "daily", version: int = 0, **fields: Any) -> ScheduleChange:  # noqa: ANN401 - any field
    return ScheduleChange(schedule=_schedule(name, version, **fields))


def _tick(id: str, schedule: str = "daily", job: str | None = None) -> TickRecord:
    return TickRecord(id=id, schedule=schedule, tick=1, last=1, outcome=Outcome.FIRED, job=job, due_at=1)


def _fire(name: str, job: NewJob, **fields: Any) -> ScheduleChange:  # noqa: ANN401 - any field of the schedule
    return ScheduleChange(schedule=_schedule(name, **fields), ticks=(_tick(job.id, name, job.id),), jobs=(job,))


async def _make(backend: SqliteBackend, *changes: ScheduleChange) -> tuple[ChangeAnswer, ...]:
    return (await backend.schedules.change(changes)).changes


def _counts(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as other:
        return {
            name: other.execute(f"SELECT count(*) FROM backburner_{name}").fetchone()[0]  # noqa: S608 - names
            for name in ("schedules", "ticks", "jobs")
        }


@pytest.mark.parametrize("fields", JOBS.values(), ids=JOBS)
async def test_a_job_is_the_row_that_enqueue_writes(backend: SqliteBackend, path: Path, fields: dict[str, Any]) -> None:
    """The job of a tick is, to the last column, the row of one that was enqueued at the same moment."""
    await backend.jobs.enqueue([[new("parent")]])
    await backend.jobs.enqueue([[new("enqueued", **fields)]])
    if "unique" in fields:
        fields = fields | {"unique": UniqueKey("another", HELD, 9)}
    assert await _make(backend, _fire("daily", new("fired", **fields))) == (DONE,)
    with closing(sqlite3.connect(path)) as other:
        other.row_factory = sqlite3.Row
        enqueued, fired = other.execute(
            "SELECT * FROM backburner_jobs WHERE id IN ('enqueued', 'fired') ORDER BY id"
        ).fetchall()
    differ = {name for name in enqueued.keys() if enqueued[name] != fired[name]}  # noqa: SIM118 - a row has no other
    assert differ == {"seq", "id"} | ({"unique_key"} if "unique" in fields else set())


async def test_many_changes_are_few_statements(backend: SqliteBackend) -> None:
    """Five hundred ticks of five hundred schedules, with keys and lanes, are written by a handful of statements."""
    changes = [
        _fire(f"s{number}", new(f"j{number}", unique=UniqueKey(f"k{number}", HELD), lanes=(f"schedule/s{number}",)))
        for number in range(500)
    ]
    statements: list[str] = []
    await backend._session.write(lambda connection: connection.set_trace_callback(statements.append))
    assert await _make(backend, *changes) == (DONE,) * 500
    assert len(statements) < 15


@pytest.mark.parametrize("where", ["schedule", "line", "job"])
async def test_a_poisoned_change_is_found_in_few_tries(backend: SqliteBackend, path: Path, where: str) -> None:
    """One of five hundred changes that is refused costs some twenty tries, and leaves nothing; the others are made."""
    changes = [_fire(f"s{number}", new(f"j{number}")) for number in range(500)]
    match where:
        case "schedule":
            changes[321] = _fire("s321", new("j321"), due_at=2**70)
        case "line":
            changes[321] = msgspec.structs.replace(changes[321], ticks=(_tick("good"), _tick("j\0")))
        case _:
            changes[321] = _fire("s321", new("j321", priority=99))
    statements: list[str] = []
    await backend._session.write(lambda connection: connection.set_trace_callback(statements.append))
    answers = await _make(backend, *changes)
    assert [number for number, answer in enumerate(answers) if answer.refused] == [321]
    assert answers.count(DONE) == 499
    assert len(statements) < 200
    assert _counts(path) == {"schedules": 499, "ticks": 499, "jobs": 499}
    assert (await backend.reader.get(["j321"])).jobs == ()


async def test_a_poisoned_change_is_not_hidden_by_the_next(backend: SqliteBackend) -> None:
    """A refused change of a schedule is refused also where a later one of the call would stand in its place."""
    poisoned = (_change(rule="\0"), _change(due_at=2**70), _change(kind="\ud800"))
    for bad in poisoned:
        answers = await _make(backend, bad, _change(version=1))
        assert answers[0].refused
        assert answers[1] == OUTRUN
    assert (await backend.schedule_reader.find(limit=1)).schedules == ()
    assert await _make(backend, _change(), _change(version=1), _change(version=2, kind="last")) == (DONE,) * 3
    (record,) = (await backend.schedule_reader.find(limit=1)).schedules
    assert (record.version, record.kind) == (3, "last")


async def test_what_fails_takes_nobody_along(backend: SqliteBackend, path: Path) -> None:
    """A call that fails as a whole leaves nothing of itself, and writes that share its transaction are done."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("ALTER TABLE backburner_ticks RENAME TO backburner_moved")
    results = await asyncio.gather(
        backend.jobs.enqueue([[new("before")]]),
        backend.schedules.change([_change("early"), _fire("daily", new("job"))]),
        backend.jobs.enqueue([[new("after")]]),
        return_exceptions=True,
    )
    assert isinstance(results[1], SchemaTooOld)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("ALTER TABLE backburner_moved RENAME TO backburner_ticks")
    assert _counts(path) == {"schedules": 0, "ticks": 0, "jobs": 2}


async def test_what_is_outrun_writes_nothing(backend: SqliteBackend) -> None:
    """Changes that come too late, prunes of young lines, and what is due, leave the file as it is."""
    await _make(backend, _fire("daily", new(), due_at=1))
    changes = backend._session.writer.changes
    assert await _make(backend, _fire("daily", new("late")), _change("other", 3)) == (OUTRUN, OUTRUN)
    await backend.admin.prune(Keep(completed=None, cancelled=None, dead=None, ticks=1), 10)
    assert not await backend.schedules.remove("daily", 2)
    assert len((await backend.schedules.due(1)).schedules) == 1
    assert backend._session.writer.changes == changes


async def test_due_waits_for_no_write(backend: SqliteBackend) -> None:
    """What is due is answered while a long write is under way."""
    await _make(backend, _change(due_at=1))
    entered, go_on = threading.Event(), threading.Event()

    def work(_: sqlite3.Connection) -> None:
        entered.set()
        go_on.wait(10)

    writing = asyncio.ensure_future(backend._session.write(work))
    while not entered.is_set():
        await asyncio.wait([writing], timeout=0.001)
    try:
        assert len((await backend.schedules.due(1)).schedules) == 1
        assert not writing.done()
    finally:
        go_on.set()
        await writing


async def test_a_store_opened_for_reading(backend: SqliteBackend, path: Path, clock: FakeClock) -> None:
    """A store opened for reading tells of its schedules, of what is due and of ledgers, and changes none."""
    await _make(backend, _fire("daily", new(), due_at=1))
    other = SqliteBackend(path, clock=clock)
    await other.open(create=False, write=False)
    assert len((await other.schedules.due(1)).schedules) == 1
    assert [record.name for record in (await other.schedule_reader.get(["daily"])).schedules] == ["daily"]
    assert len((await other.schedule_reader.ticks(limit=1)).ticks) == 1
    with pytest.raises(StoreReadOnly):
        await other.schedules.change([_change(version=1)])
    with pytest.raises(StoreReadOnly):
        await other.schedules.remove("daily", 1)
    await other.close()


@pytest.mark.usefixtures("backend")
async def test_only_what_may_be_due_is_in_the_index(path: Path) -> None:
    """Schedules that are never due take no room among those that are: their index cannot tell of all there are."""
    names = "SELECT name FROM backburner_schedules INDEXED BY backburner_schedules_due"
    with closing(sqlite3.connect(path)) as other:
        assert other.execute(f"{names} WHERE due_at > 0").fetchall() == []
        with pytest.raises(sqlite3.OperationalError, match="no query solution"):
            other.execute(names)


async def test_old_lines_go_first(backend: SqliteBackend, clock: FakeClock) -> None:
    """Of lines whose time has passed the oldest go first, at most as many as asked for, whatever their ids."""
    await _make(backend, ScheduleChange(schedule=_schedule(), ticks=(_tick("z"), _tick("y"))))
    clock.move(10)
    await _make(backend, ScheduleChange(schedule=_schedule(version=1), ticks=(_tick("a"), _tick("x"))))
    clock.move(10)
    keep = Keep(completed=None, cancelled=None, dead=None, ticks=15_000_000)
    assert await backend.admin.prune(keep, 1) == 1
    # From now on all are old.
    keep = Keep(completed=None, cancelled=None, dead=None, ticks=5_000_000)
    assert await backend.admin.prune(keep, 1) == 1
    assert [line.id for line in (await backend.schedule_reader.ticks(limit=9)).ticks] == ["x", "a"]
    assert await backend.admin.prune(Keep(completed=None, cancelled=None, dead=None), 5) == 0
    assert await backend.admin.prune(keep, 5) == 2
