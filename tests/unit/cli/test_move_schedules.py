"""`backburner move`: schedules and their ledgers carried into a new store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest

from backburner.backends import urls
from backburner.backends.sqlite.schedules import SqliteScheduleStore
from backburner.cli.moving import schedules
from backburner.model.lane import Limit
from backburner.model.schedule import Outcome, ScheduleChange, ScheduleRecord, TickRecord
from backburner.ports.schedules import ChangeAnswer, Changed
from backburner.testing.clock import FakeClock
from backburner.testing.contracts.scheduling import ledger, plan, schedule, skip, stored, tick

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from backburner.ports.backend import Backend
    from tests.unit.cli.conftest import Run

T = TypeVar("T")

#: Every field that a schedule may have.
_FULL: dict[str, Any] = {
    "declared": True,
    "next_tick": 5_000,
    "due_at": None,
    "last_tick": 4_000,
    "fired_at": 4_001,
    "last_job": "01jd1",
    "paused": True,
    "paused_until": 9_000,
    "reason": "INC-7",
    "by": "ada",
}


@pytest.fixture
def target(tmp_path: Path) -> str:
    """Return where the new store will be."""
    return f"sqlite:///{tmp_path}/new.db"


def _in(url: str, work: Callable[[Backend], Awaitable[T]]) -> T:
    """Do something in a store, which is made if there is none; its clock stands where the shop's began."""

    async def do() -> T:
        backend = urls.connect(urls.parse(url, base=Path("/")), clock=FakeClock(), write_timeout=5)
        await backend.open(create=True)
        try:
            await backend.schema.upgrade()
            return await work(backend)
        finally:
            await backend.close()

    return asyncio.run(do())


async def _tell(backend: Backend, name: str, *ticks: TickRecord) -> None:
    """Write lines to the ledger of a schedule."""
    changed = await backend.schedules.change([ScheduleChange(schedule=await stored(backend, name), ticks=ticks)])
    assert changed.changes == (ChangeAnswer(),)


@pytest.fixture
def timed(shop: str) -> str:
    """Give the shop two schedules with ledgers, and what a third did before it was removed."""

    async def fill(backend: Backend) -> None:
        await plan(backend, "daily", **_FULL)
        await plan(backend, "five", next_tick=7_000, due_at=7_000)
        await plan(backend, "gone")
        await _tell(backend, "five", *(tick(number, schedule="five", job="01jd1", at=number) for number in range(1, 6)))
        await _tell(backend, "gone", tick(schedule="gone"))
        skipped = skip(8, schedule="daily", last=9, count=0, by="ada", note="why", at=77, due_at=10)
        await _tell(backend, "daily", tick(7, outcome=Outcome.TRIGGERED, at=78), skipped)
        await backend.schedules.remove("gone", (await stored(backend, "gone")).version)

    _in(shop, fill)
    return shop


def _schedules(url: str) -> list[ScheduleRecord]:
    """Return the schedules of a store, but for what it says of its own writing."""

    async def find(backend: Backend) -> list[ScheduleRecord]:
        page = await backend.schedule_reader.find(limit=1_000)
        return [msgspec.structs.replace(each, version=0, created_at=0, changed_at=0) for each in page.schedules]

    return _in(url, find)


def _ledger(url: str) -> list[TickRecord]:
    return _in(url, ledger)


def _of_living(ticks: list[TickRecord]) -> list[TickRecord]:
    return [each for each in ticks if each.schedule != "gone"]


def _moved(answer: str) -> tuple[Any, Any]:
    told = json.loads(answer)
    return told["schedules"], told["ticks"]


@pytest.mark.parametrize("page", [1, 2, 3, 500])
def test_schedules_come_along(page: int, timed: str, target: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """They arrive as they were, pauses, next tick and all; so do their ledgers, each line decided when it was."""
    monkeypatch.setattr(schedules, "_PAGE", page)
    dry = run("move", timed, target, "--dry-run")
    assert (dry.code, Path(target.removeprefix("sqlite:///")).exists()) == (0, False)
    answer = run("move", timed, target)
    assert (answer.code, answer.out) == (0, dry.out)
    assert answer.out.endswith("parked\t0\nschedules\t2\nticks\t7\n")
    assert f"{target} has all 4 jobs and 2 schedules; " in answer.err
    assert "4 jobs and 2 schedules would be carried" in dry.err
    assert _schedules(target) == _schedules(timed)
    assert _ledger(target) == _of_living(_ledger(timed))
    assert len(_ledger(timed)) == 8


def test_what_keeps_their_jobs_apart_comes_along(timed: str, target: str, run: Run) -> None:
    """The jobs of a schedule run one after another in the new store too, before any node has declared anything."""
    assert run("move", timed, target).code == 0

    async def limits(backend: Backend) -> dict[str, Limit]:
        return {record.name: record.limit for record in await backend.limits.list()}

    assert _in(target, limits)["schedule"] == Limit(slots=1)


@pytest.mark.parametrize("page", [1, 2, 500])
def test_again(page: int, timed: str, target: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moved again, what is there stays as it has become since, and what is new in the source comes along."""
    monkeypatch.setattr(schedules, "_PAGE", page)
    run("move", timed, target)

    async def go_on(backend: Backend) -> None:
        record = await stored(backend, "five")
        after = msgspec.structs.replace(record, next_tick=8_000, due_at=8_000, last_tick=7_000)
        await backend.schedules.change([ScheduleChange(schedule=after, ticks=(tick(7_000, schedule="five"),))])

    async def add(backend: Backend) -> None:
        await plan(backend, "new")
        await _tell(backend, "new", tick(schedule="new"))

    _in(target, go_on)
    _in(timed, add)
    before = {each.name: each for each in _schedules(target)}
    assert _moved(run("move", timed, target, "--dry-run", "--json").out) == (
        {"stored": 1, "known": 2, "left": [], "refused": {}, "missing": []},
        {"stored": 1, "missing": 0},
    )
    answer = run("move", timed, target)
    assert (answer.code, answer.out.splitlines()[-3:]) == (0, ["schedules\t1", "schedules known\t2", "ticks\t1"])
    assert {each.name: each for each in _schedules(target)} == before | {"new": schedule("new")}
    assert len(_ledger(target)) == 9


def test_interrupted_and_run_again(timed: str, target: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted between two pages of a ledger, it goes on from there; no line is written twice."""
    monkeypatch.setattr(schedules, "_PAGE", 3)
    change = SqliteScheduleStore.change
    writes: list[int] = []

    async def interrupted(self: SqliteScheduleStore, changes: Sequence[ScheduleChange]) -> Changed:
        writes.append(sum(len(each.ticks) for each in changes))
        if len(writes) == 3:
            raise KeyboardInterrupt
        return await change(self, changes)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteScheduleStore, "change", interrupted)
        answer = run("move", timed, target)
    assert (answer.code, writes) == (130, [0, 2, 3])
    assert (len(_schedules(target)), len(_ledger(target))) == (2, 2)
    told = _moved(run("move", timed, target, "--json").out)
    assert (told[0]["known"], told[1]) == (2, {"stored": 5, "missing": 0})
    assert _ledger(target) == _of_living(_ledger(timed))


def test_a_name_that_the_target_has(timed: str, target: str, run: Run) -> None:
    """Another schedule of that name stays as it is, and is told of; what the ledger tells of the name comes along."""
    own = _in(target, lambda backend: plan(backend, "daily", kind="other"))
    dry = run("move", timed, target, "--dry-run")
    answer = run("move", timed, target)
    assert (answer.code, answer.out) == (0, dry.out)
    assert answer.out.endswith("schedules\t1\nticks\t7\nschedule left\tdaily\n")
    assert f"1 schedules stayed behind: {target} has others of their names, which are as they were\n" in answer.err
    assert "1 schedules would stay behind" in dry.err
    daily = _in(target, lambda backend: stored(backend, "daily"))
    assert (daily.kind, daily.paused, daily.created_at) == ("other", False, own.created_at)


def test_what_is_missing_in_the_end(timed: str, target: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Schedules and lines that should be there are looked for; what is not is named, and the exit code is 1."""
    change = SqliteScheduleStore.change

    async def forgetful(self: SqliteScheduleStore, changes: Sequence[ScheduleChange]) -> Changed:
        kept = [msgspec.structs.replace(each, ticks=()) for each in changes if each.schedule.name != "five"]
        answer = await change(self, kept)
        return Changed(answer.now, tuple(ChangeAnswer() for _ in changes))

    with monkeypatch.context() as patch:
        patch.setattr(SqliteScheduleStore, "change", forgetful)
        answer = run("move", timed, target)
    assert (answer.code, answer.out.splitlines()[-2:]) == (1, ["ticks missing\t7", "schedule missing\tfive"])
    assert f"schedules or ticks are not in {target}" in answer.err
    assert run("move", timed, target).code == 0


def test_what_the_target_refuses(timed: str, target: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A schedule that the target refuses stays behind with its ledger and is told of with the reason; the others go."""
    change = SqliteScheduleStore.change

    async def picky(self: SqliteScheduleStore, changes: Sequence[ScheduleChange]) -> Changed:
        flawed = [
            ScheduleChange(schedule=msgspec.structs.replace(each.schedule, kind="a\0b"))
            if each.schedule.name == "five"
            else each
            for each in changes
        ]
        return await change(self, flawed)

    monkeypatch.setattr(SqliteScheduleStore, "change", picky)
    answer = run("move", timed, target)
    assert answer.code == 1
    last = answer.out.splitlines()[-1].split("\t")
    assert (last[0], last[1], bool(last[2])) == ("schedule refused", "five", True)
    assert [each.name for each in _schedules(target)] == ["daily"]


def test_a_schedule_that_others_change(timed: str, target: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another changes a schedule of the target between a look and a write, its lines are brought to what it left."""
    change = SqliteScheduleStore.change
    raced: list[str] = []

    async def racing(self: SqliteScheduleStore, changes: Sequence[ScheduleChange]) -> Changed:
        other = next((each.schedule for each in changes if each.schedule.version == 1), None)
        if other is not None and not raced:
            raced.append(other.name)
            await change(self, [ScheduleChange(schedule=other)])
        return await change(self, changes)

    monkeypatch.setattr(SqliteScheduleStore, "change", racing)
    assert run("move", timed, target).code == 0
    assert len(raced) == 1
    assert _ledger(target) == _of_living(_ledger(timed))
