"""`backburner move`: a shop's store carried into a new one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest

from backburner.backends import urls
from backburner.backends.sqlite.admin import SqliteJobAdmin
from backburner.backends.sqlite.locks import NodeLocks
from backburner.cli.moving import choosing
from backburner.model.clock import SECOND
from backburner.model.job import GROUP_CANCELLED, UNIQUE_GATE, Ending, JobImage, JobState, NewJob, UniqueKey
from backburner.model.node import NodeRecord, QueueRecord
from backburner.testing.clock import FakeClock
from backburner.testing.contracts.making import ask, to_settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from backburner.ports.backend import Backend
    from backburner.ports.jobs import Restored
    from tests.unit.cli.conftest import Run

T = TypeVar("T")

_PENDING = (JobState.PENDING,)
_CARRIED = ["01jd1", "01jd2", "01jd3", "01jd4"]


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


def _images(url: str) -> dict[str, JobImage]:
    async def export(backend: Backend) -> dict[str, JobImage]:
        return {image.record.id: image for image in (await backend.reader.export(limit=1000)).jobs}

    return _in(url, export)


def _add(url: str, *jobs: NewJob) -> None:
    async def add(backend: Backend) -> None:
        (answer,) = (await backend.jobs.enqueue([jobs])).groups
        assert (answer.duplicates, answer.holders, answer.refused) == ((), {}, None)

    _in(url, add)


def _new(job_id: str, **fields: Any) -> NewJob:  # noqa: ANN401 - any field of a job
    given: dict[str, Any] = {"kind": "note", "queue": "notes", "args": "{}"}
    return NewJob(id=job_id, **given | fields)


async def _publish(backend: Backend, node: str = "node") -> None:
    record = NodeRecord(id=node, host="h", pid=1, started_at=0, queues={"notes": 9}, kinds=("note",))
    await backend.nodes.publish(record, 60 * SECOND)


def _bytes(url: str) -> bytes:
    return Path(url.removeprefix("sqlite:///")).read_bytes()


def test_what_matters_is_carried(shop: str, target: str, run: Run) -> None:
    """What waits, is retried or dead arrives as it was, history and all; the source does not change by a byte."""
    before = _bytes(shop)
    answer = run("move", shop, target)
    assert answer.code == 0
    assert answer.out == ("dead\tcharge\t1\npending\tcharge\t1\npending\tmail\t2\nstored\t4\nknown\t0\nparked\t0\n")
    assert answer.err == f"{target} has all 4 jobs; {shop} is as it was: change the app's URL, then start it\n"
    assert _bytes(shop) == before
    source = _images(shop)
    assert _images(target) == {job_id: source[job_id] for job_id in _CARRIED}
    assert source["01jd1"].history


def test_for_a_person(shop: str, target: str, run: Run) -> None:
    """On a terminal the names stand in a column."""
    answer = run("move", shop, target, terminal=True)
    assert answer.out == (
        "dead     charge  1\npending  charge  1\npending  mail  2\nstored   4\nknown    0\nparked   0\n"
    )


def test_json(shop: str, target: str, run: Run) -> None:
    """As JSON it is one object."""
    answer = run("move", shop, target, "--json", "--all")
    assert json.loads(answer.out) == {
        "source": shop,
        "target": target,
        "dry_run": False,
        "jobs": [
            {"state": "completed", "kind": "mail", "count": 1},
            {"state": "dead", "kind": "charge", "count": 1},
            {"state": "pending", "kind": "charge", "count": 1},
            {"state": "pending", "kind": "mail", "count": 2},
        ],
        "stored": 5,
        "known": 0,
        "parked": 0,
        "queues": [],
        "conflicts": {},
        "missing": [],
        "schedules": {"stored": 0, "known": 0, "left": [], "refused": {}, "missing": []},
        "ticks": {"stored": 0, "missing": 0},
    }


def test_everything(shop: str, target: str, run: Run) -> None:
    """`--all` carries every ended job too."""
    assert run("move", shop, target, "--all").code == 0
    assert _images(target) == _images(shop)


def test_again(shop: str, target: str, run: Run) -> None:
    """Run again, it leaves what is there as it is, and adds what came since."""
    run("move", shop, target)
    assert run("jobs", "cancel", "01jd3", "--url", target).code == 0
    _add(shop, _new("late"))
    answer = run("move", shop, target, "--json")
    told = json.loads(answer.out)
    assert (answer.code, told["stored"], told["known"]) == (0, 1, 4)
    assert _images(target)["01jd3"].record.state is JobState.CANCELLED


def test_interrupted_and_run_again(shop: str, target: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends it with 130, between two pages; run again it carries the rest."""
    monkeypatch.setattr(choosing, "_PAGE", 2)
    restore = SqliteJobAdmin.restore
    pages: list[int] = []

    async def interrupted(self: SqliteJobAdmin, jobs: Sequence[JobImage]) -> Restored:
        pages.append(len(jobs))
        if len(pages) == 2:
            raise KeyboardInterrupt
        return await restore(self, jobs)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteJobAdmin, "restore", interrupted)
        answer = run("move", shop, target)
    assert (answer.code, answer.out, answer.err) == (130, "", "\ninterrupted\n")
    assert list(_images(target)) == ["01jd1"]
    told = json.loads(run("move", shop, target, "--json").out)
    assert (told["stored"], told["known"]) == (3, 1)
    assert list(_images(target)) == _CARRIED


@pytest.mark.parametrize("size", [1, 300, 900, 2_000])
def test_long_jobs(size: int, shop: str, target: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long jobs are, a write holds few enough of them; a job that is longer than that goes alone."""
    monkeypatch.setattr(choosing, "_SIZE", size)
    _add(shop, *[_new(f"{number:03}", args='{"a":"' + "x" * (number * 50) + '"}') for number in range(20)])
    restore = SqliteJobAdmin.restore
    writes: list[list[int]] = []

    async def counted(self: SqliteJobAdmin, jobs: Sequence[JobImage]) -> Restored:
        writes.append([200 + len(image.record.args) for image in jobs])
        return await restore(self, jobs)

    monkeypatch.setattr(SqliteJobAdmin, "restore", counted)
    answer = run("move", shop, target, "--json")
    assert (answer.code, json.loads(answer.out)["stored"]) == (0, 24)
    assert all(len(write) <= 1 or sum(write) <= size for write in writes)
    assert sum(map(len, writes)) == 24


def test_what_ran_is_given_back(shop: str, target: str, run: Run) -> None:
    """What ran on a node that is gone arrives pending, the interruption counted and told; asked to end, it has ended."""
    asked = {"asked": "cancelled", "group": GROUP_CANCELLED}

    async def begin(backend: Backend) -> None:
        await _publish(backend)
        await backend.jobs.enqueue([[_new(job_id) for job_id in ("plain", *asked)]])
        await backend.jobs.claim(ask(queues=("notes",)))
        for job_id, reason in asked.items():
            await backend.admin.cancel([job_id], reason)

    _in(shop, begin)
    before = _images(shop)
    assert run("move", shop, target).code == 0
    after = _images(target)
    for job_id in ("plain", *asked):
        was, now = before[job_id].record, after[job_id].record
        assert (now.attempt, now.token, now.gate, now.interruptions) == (was.attempt, was.token, "", 1)
        assert (now.cancel, now.node, now.started_at) == (False, "node", was.started_at)
        (attempt,) = after[job_id].history
        assert (attempt.attempt, attempt.ending, attempt.node) == (1, Ending.INTERRUPTED, "node")
    assert after["plain"].record.state is JobState.PENDING
    for job_id, reason in asked.items():
        record = after[job_id].record
        assert (record.state, record.reason) == (JobState.CANCELLED, reason)


def test_ended_jobs_that_still_matter(shop: str, target: str, run: Run) -> None:
    """Of what ended comes along what holds its unique key, by state or time, and children of parents to run again."""
    hour = 3600 * SECOND
    jobs: dict[str, dict[str, Any]] = {
        "by-state": {"unique": UniqueKey("a", (JobState.COMPLETED,))},
        "by-time": {"unique": UniqueKey("b", (), 2 * hour)},
        "time-over": {"unique": UniqueKey("c", (), hour // 2)},
        "not-its-state": {"unique": UniqueKey("d", _PENDING)},
        "child": {"parent": "01jd3"},
        "child-of-dead": {"parent": "01jd1"},
        "child-of-nobody": {"parent": "nobody"},
    }

    async def end(backend: Backend) -> None:
        await _publish(backend)
        await backend.jobs.enqueue([[_new(job_id, **fields) for job_id, fields in jobs.items()]])
        claims = (await backend.jobs.claim(ask(queues=("notes",)))).claims
        assert len(claims) == len(jobs)
        await backend.jobs.settle("node", [to_settle(claim) for claim in claims])

    _in(shop, end)
    assert run("move", shop, target).code == 0
    assert sorted(_images(target).keys() - set(_CARRIED)) == ["by-state", "by-time", "child"]


def test_several_holders_of_one_key(shop: str, target: str, run: Run) -> None:
    """Jobs of the source that hold one key together all arrive: the first with the key, the others at its gate."""
    unique = UniqueKey("key", _PENDING)

    async def share(backend: Backend) -> None:
        await _publish(backend)
        await backend.jobs.enqueue([[_new("first", unique=unique)]])
        claims = (await backend.jobs.claim(ask(queues=("notes",)))).claims
        await backend.jobs.enqueue([[_new("second", unique=unique)]])
        await backend.jobs.settle("node", [to_settle(claim, JobState.PENDING) for claim in claims])

    _in(shop, share)
    answer = run("move", shop, target, "--json")
    told = json.loads(answer.out)
    assert (answer.code, told["stored"], told["parked"], told["conflicts"]) == (0, 6, 1, {})
    after = _images(target)
    assert (after["first"].record.gate, after["second"].record.gate) == ("", UNIQUE_GATE + "key")


@pytest.mark.parametrize("page", [1, 500])
def test_a_key_that_another_job_of_the_target_holds(
    page: int, shop: str, target: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a job stays behind and is named, by a dry run too; once the other is cancelled, it is carried."""
    monkeypatch.setattr(choosing, "_PAGE", page)
    _add(shop, _new("mine", unique=UniqueKey("key", _PENDING)))
    _add(target, _new("other", unique=UniqueKey("key", _PENDING)))
    dry = run("move", shop, target, "--dry-run")
    assert dry.code == 1
    assert "conflict\tmine\tother\n" in dry.out
    assert "stored\t4\n" in dry.out
    answer = run("move", shop, target)
    assert answer.code == 1
    assert answer.out == dry.out
    assert "1 jobs stayed behind" in answer.err
    assert sorted(_images(target)) == [*_CARRIED, "other"]
    run("jobs", "cancel", "other", "--url", target)
    assert run("move", shop, target).code == 0
    assert "mine" in _images(target)


def test_a_job_that_is_missing_in_the_end(shop: str, target: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What should be there is looked for; what is not is named, and the exit code is 1."""
    restore = SqliteJobAdmin.restore

    async def forgetful(self: SqliteJobAdmin, jobs: Sequence[JobImage]) -> Restored:
        return await restore(self, [image for image in jobs if image.record.id != "01jd3"])

    monkeypatch.setattr(SqliteJobAdmin, "restore", forgetful)
    answer = run("move", shop, target)
    assert answer.code == 1
    assert answer.out.splitlines()[-1] == "missing\t01jd3"
    assert f"1 of 4 jobs are not in {target}" in answer.err


def test_dry_run(shop: str, target: str, run: Run) -> None:
    """A dry run counts, and makes nothing."""
    dry = run("move", shop, target, "--dry-run")
    assert dry.code == 0
    assert dry.err.splitlines() == [
        f"{target} would be made",
        f"4 jobs would be carried from {shop} to {target}; nothing was written",
    ]
    assert not Path(target.removeprefix("sqlite:///")).exists()
    assert run("move", shop, target).out == dry.out
    again = json.loads(run("move", shop, target, "--dry-run", "--json").out)
    assert (again["dry_run"], again["stored"], again["known"]) == (True, 0, 4)


def test_an_empty_target_is_upgraded(shop: str, target: str, run: Run) -> None:
    """A target without a schema gets it; a dry run only says so."""
    Path(target.removeprefix("sqlite:///")).touch()
    dry = run("move", shop, target, "--dry-run")
    assert (dry.code, "schema 0 would become" in dry.err) == (0, True)
    assert run("db", "check", "--url", target).code == 5
    assert run("move", shop, target).code == 0
    assert run("db", "check", "--url", target).code == 0


def test_settings_of_queues(shop: str, target: str, run: Run) -> None:
    """What operators set for queues comes along, so that a paused one does not begin to run; the target's own stays."""

    async def pause(backend: Backend) -> None:
        for name in ("mine", "both"):
            await backend.queues.set(QueueRecord(name=name, paused=True, reason="deploy"))

    async def limit(backend: Backend) -> None:
        await backend.queues.set(QueueRecord(name="both", slots=3))

    _in(shop, pause)
    _in(target, limit)
    assert "queue\tmine\n" in run("move", shop, target, "--dry-run").out
    assert json.loads(run("move", shop, target, "--json").out)["queues"] == ["mine"]
    mine, both = QueueRecord(name="mine", paused=True, reason="deploy"), QueueRecord(name="both", slots=3)
    assert _in(target, lambda backend: backend.queues.list()) == (both, mine)


def test_a_source_in_use(shop: str, target: str, run: Run) -> None:
    """While nodes run jobs of the source nothing moves, and they are named; `--force` moves all the same."""

    async def enter(backend: Backend) -> None:
        await _publish(backend, "web-9")

    _in(shop, enter)
    locks = NodeLocks(Path(f"{shop.removeprefix('sqlite:///')}-nodes"))
    locks.hold("web-9")
    try:
        answer = run("move", shop, target)
        assert (answer.code, answer.out) == (2, "")
        assert "web-9" in answer.err
        assert not Path(target.removeprefix("sqlite:///")).exists()
        assert run("move", shop, target, "--force").code == 0
    finally:
        locks.release_all()


def test_refused(shop: str, target: str, run: Run, tmp_path: Path) -> None:
    """One store is not both; a memory store is neither; a source has to be there, with a current schema."""
    (tmp_path / "again.db").symlink_to(shop.removeprefix("sqlite:///"))
    for same in (shop, f"sqlite:///{tmp_path}/again.db", f"{shop}?synchronous=normal"):
        answer = run("move", shop, same)
        assert (answer.code, "both source and target" in answer.err) == (2, True)
    assert run("move", shop, "memory://").code == 2
    assert run("move", "memory://", target).code == 2
    assert run("move", f"sqlite:///{tmp_path}/none.db", target).code == 4
    (tmp_path / "old.db").touch()
    assert run("move", f"sqlite:///{tmp_path}/old.db", target).code == 5
    assert run("move", shop).code == 2
    assert not Path(target.removeprefix("sqlite:///")).exists()


def test_urls_from_stdin(shop: str, target: str, run: Run) -> None:
    """Both URLs may come from stdin, one a line, so that a password shows in no process list."""
    assert run("move", "-", "-", typed=f"{shop}\n{target}\n").code == 0
    assert list(_images(target)) == _CARRIED


def test_a_flawed_image_is_no_traceback(shop: str, target: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the target cannot keep ends the command in one line that names the job."""
    restore = SqliteJobAdmin.restore

    async def flawed(self: SqliteJobAdmin, jobs: Sequence[JobImage]) -> Restored:
        bad = msgspec.structs.replace(jobs[0].record, kind="a\0b")
        return await restore(self, [JobImage(record=bad)])

    monkeypatch.setattr(SqliteJobAdmin, "restore", flawed)
    answer = run("move", shop, target)
    assert (answer.code, answer.out, len(answer.err.splitlines())) == (4, "", 1)
    assert "01jd1" in answer.err
