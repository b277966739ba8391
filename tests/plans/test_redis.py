"""What a verb costs on Redis does not depend on how many jobs it has nothing to do with, and no key is left behind."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backburner.backends.redis.backend import RedisBackend
from backburner.backends.redis.place import RedisPlace
from backburner.backends.urls import parse
from backburner.model.clock import SECOND
from backburner.model.job import JobImage, JobRecord, JobState, NewJob, Settlement
from backburner.model.lane import Limit, Rate
from backburner.model.node import KindRecord, NodeRecord
from backburner.model.query import JobFilter, Shown
from backburner.model.schedule import ScheduleChange
from backburner.ports.jobs import ClaimRequest, Keep, Letter
from backburner.testing import FakeClock
from backburner.testing.contracts.scheduling import change, fire, known, ledger, schedule, tick
from tests.plans.verbs import DEMAND, VERBS
from tests.stores import redis_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from backburner.ports.backend import Backend
    from tests.servers.redis import Namespace, RedisServer

#: Jobs of each sort beside which a verb is counted, and how many are due. What grows with them costs twenty times more.
FEW, MANY, DUE = 300, 6_000, 300
#: A page of whole jobs on their way in.
PAGE = 2_000
#: Commands that scripts call a few times more or less often, by where a window of theirs happens to end.
SLACK = 20
NODE = NodeRecord(id="node", host="host", pid=1, started_at=0, queues={"queue": 1}, kinds=("kind",))
LEASE = 1_000_000_000 * SECOND
STANDING = (Shown.RUNNING, Shown.WAITING, Shown.SCHEDULED, Shown.RETRYING)
HELD = (JobState.PENDING, JobState.RUNNING)
SHUT = Limit(slots=0)
WIDE = Rate(limit=1000, period=SECOND, burst=1000)
#: What goes through a whole key, however large.
WALKS = re.compile(
    r'redis\.call\(\s*"(HGETALL|HKEYS|HVALS|SMEMBERS|KEYS|SCAN|SSCAN|HSCAN|ZSCAN|SORT|LRANGE|ZRANGE|ZREVRANGE)"'
)
#: Ranges that do not say where to stop.
UNBOUNDED = re.compile(r'redis\.call\(\s*"Z(REV)?RANGEBY(LEX|SCORE)"(?![^\n]*"LIMIT")[^\n]*')
#: These answer all of what is asked for: what a node holds, whose key is held, the queues, nodes, limits, cells and leases
#: there are, and who stands where unless these are many; and one tries every command to no effect.
WHOLE = {
    *("nodes_beat.lua", "read_export.lua", "queues_list.lua", "nodes_find.lua", "try.lua"),
    *("read_limits.lua", "read_cells.lua", "read_locks.lua", "read_standing.lua"),
    *("read_subscriptions.lua", "subscribing.lua"),
}


def _image(job_id: str, now: int, **fields: Any) -> JobImage:  # noqa: ANN401 - any field of a record
    record: dict[str, Any] = {
        "kind": "kind",
        "queue": "queue",
        "state": JobState.PENDING,
        "gate": "",
        "priority": 5,
        "args": "{}",
        "result": None,
        "reason": None,
        "tags": (),
        "attempt": 0,
        "failures": 0,
        "crashes": 0,
        "interruptions": 0,
        "token": 0,
        "node": None,
        "cancel": False,
        "timeout": None,
        "retry": None,
        "backoff": None,
        "created_at": 1,
        "due_at": now,
        "expires_at": None,
        "started_at": None,
        "ended_at": None,
        "error": "",
        "message": "",
        "fingerprint": "",
    }
    return JobImage(record=JobRecord(id=job_id, **record | fields), unique_states=HELD if fields.get("unique") else ())


def _crowd(number: int, now: int) -> Iterable[JobImage]:
    """As `conftest` has it for SQLite."""
    yield _image("1holder", now, queue="elsewhere", due_at=now + 1000 * SECOND, unique="busy")
    yield _image("1parent", now, queue="elsewhere", due_at=now + 1000 * SECOND)
    for i in range(1, number + 1):
        state = JobState.COMPLETED if i % 10 else JobState.DEAD
        yield _image(
            f"0ended{i:010}", now, state=state, priority=i % 10, due_at=1, ended_at=now + i, attempt=1,
            unique="free" if i % 2 else None,
        )  # fmt: skip
        due = now + 1000 * SECOND + i
        yield _image(f"0later{i:010}", now, priority=i % 10, due_at=due, expires_at=now + 9000 * SECOND + i)
        gate = ("unknown:strange", "misfit:kind:one,two", "unique:busy")[i % 3]
        yield _image(
            f"0parked{i:010}", now, kind="strange", gate=gate, priority=i % 10, due_at=1,
            unique="busy" if gate == "unique:busy" else None,
        )  # fmt: skip
        # In front of all that are due, at lanes that have no room.
        yield _image(f"0stands{i:010}", now, gate="lane:full", lanes=("full",), priority=0, due_at=1)
        yield _image(f"0keyed{i:010}", now, gate=f"lane:keyed/{i}", lanes=(f"keyed/{i}",), priority=0, due_at=1)
        # Its own time has not passed, so that it need not be lifted out of what is to be pruned.
        yield _image(f"0child{i:010}", now, state=JobState.COMPLETED, ended_at=now + i, attempt=1, parent="1parent")
    for i in range(1, DUE + 1):
        yield _image(f"1due{i:010}", now, due_at=now - DUE + i)


@asynccontextmanager
async def _opened(namespace: Namespace, number: int, clock: FakeClock | None = None) -> AsyncIterator[Backend]:
    place = parse(redis_url(namespace), base=Path("/")).place
    assert isinstance(place, RedisPlace)
    clock = clock or FakeClock()
    backend = RedisBackend(place, clock=clock)
    await backend.open(create=True)
    try:
        await backend.schema.upgrade()
        images = list(_crowd(number, clock.now()))
        for start in range(0, len(images), PAGE):
            restored = await backend.admin.restore(images[start : start + PAGE])
            assert not restored.holders
        await backend.nodes.publish(NODE, LEASE)
        await backend.limits.declare({"full": SHUT, "keyed": SHUT, "wide": Limit(slots=99, rate=WIDE)})
        # What was restored to a gate is asked about once.
        elsewhere = ClaimRequest(node="node", queues={"elsewhere": 1}, limit=1, kinds=frozenset())
        while (await backend.jobs.claim(elsewhere)).wait == 0:
            pass
        yield backend
    finally:
        await backend.close()


def _calls(server: RedisServer) -> int:
    """Return how many commands the server has run that scripts call."""
    with server.connect() as client:
        stats: dict[str, dict[str, int]] = client.info("commandstats")
    own = {"cmdstat_evalsha", "cmdstat_info", "cmdstat_ping", "cmdstat_script|load", "cmdstat_publish"}
    return sum(
        stat["calls"]
        for name, stat in stats.items()
        if name not in own
        and not name.startswith(("cmdstat_client", "cmdstat_hello", "cmdstat_auth", "cmdstat_select"))
    )


def _in_lane(lane: str, **fields: Any) -> list[NewJob]:  # noqa: ANN401 - any field of a job
    names = range(50)
    return [
        NewJob(id=f"2lane{name}", kind="kind", queue="queue", args="{}", lanes=(lane,), priority=0, **fields)
        for name in names
    ]


async def _claim_in_a_lane(backend: Backend) -> None:
    await backend.jobs.enqueue([_in_lane("wide")])
    assert {claim.lanes for claim in (await backend.jobs.claim(DEMAND)).claims} == {("wide",)}


async def _settle_in_a_lane(backend: Backend) -> None:
    await backend.jobs.enqueue([_in_lane("wide")])
    claims = (await backend.jobs.claim(DEMAND)).claims
    ends = [Settlement(id=each.id, token=each.token, state=JobState.COMPLETED) for each in claims]
    assert (await backend.jobs.settle("node", ends, DEMAND)).stale == ()


async def _stand_behind(backend: Backend) -> None:
    await backend.jobs.enqueue([_in_lane("full")])
    (job,) = (await backend.reader.get(["2lane0"])).jobs
    assert job.gate == "lane:full"


async def _park(backend: Backend) -> None:
    await backend.limits.declare({"new": SHUT})
    await backend.jobs.enqueue([_in_lane("new")])
    assert {claim.lanes for claim in (await backend.jobs.claim(DEMAND)).claims} == {()}


async def _open(backend: Backend) -> None:
    await backend.limits.override("full", Limit(slots=3), by=None, reason=None)
    claims = (await backend.jobs.claim(DEMAND)).claims
    assert [claim.lanes for claim in claims].count(("full",)) == 3


async def _end_and_open(backend: Backend) -> None:
    await backend.limits.override("full", Limit(slots=3), by=None, reason=None)
    claims = (await backend.jobs.claim(DEMAND)).claims
    ends = [Settlement(id=each.id, token=each.token, state=JobState.COMPLETED) for each in claims]
    settled = await backend.jobs.settle("node", ends, DEMAND)
    assert settled.let_in == 1
    assert settled.batch is not None
    assert [claim.lanes for claim in settled.batch.claims].count(("full",)) == 3


async def _read_lanes(backend: Backend) -> None:
    full, wide = (await backend.limits.lanes(["full", "wide"])).lanes
    assert (full.parked, wide.parked) == (True, False)


async def _pause_a_kind(backend: Backend) -> None:
    await backend.kinds.set(KindRecord(name="kind"))
    assert (await backend.jobs.claim(DEMAND)).claims == ()


async def _replay_and_purge(backend: Backend) -> None:
    letters = [Letter(id=f"0ended{number:010}", token=0) for number in range(10, 260, 10)]
    assert (await backend.admin.replay(letters[::2])).missed == ()
    assert (await backend.admin.purge(letters[1::2])).missed == ()


async def _read_timings(backend: Backend) -> None:
    """Read the last fifty that completed, in two pages."""
    after = None
    for _ in range(2):
        page = await backend.reader.timings(JobState.COMPLETED, JobFilter(), within=SECOND, limit=25, after=after)
        assert len(page.jobs) == 25
        after = page.after


LANE_VERBS = (
    _claim_in_a_lane,
    _settle_in_a_lane,
    _stand_behind,
    _park,
    _open,
    _end_and_open,
    _read_lanes,
    _pause_a_kind,
    _replay_and_purge,
    _read_timings,
)


@pytest.mark.parametrize("verb", [*VERBS, *LANE_VERBS], ids=lambda verb: verb.__name__.strip("_"))
async def test_a_crowd_costs_nothing(redis_server: RedisServer, verb: Callable[[Backend], Awaitable[None]]) -> None:
    """Beside twenty times as many jobs a verb's scripts call no more commands, and none of these walks a key."""
    calls: list[int] = []
    for number in (FEW, MANY):
        with redis_server.namespace() as namespace:
            async with _opened(namespace, number) as backend:
                before = _calls(redis_server)
                await verb(backend)
                calls.append(_calls(redis_server) - before)
    few, many = calls
    assert few > 0
    assert many <= few + SLACK


@pytest.mark.parametrize(
    ("states", "found"),
    [((Shown.RUNNING,), ["2run"]), ((Shown.RETRYING,), ["3again"]), (STANDING, ["3again", "2run", "1parent"])],
    ids=["running", "retrying", "any"],
)
async def test_what_ended_is_not_looked_at(
    redis_server: RedisServer, states: tuple[Shown, ...], found: list[str]
) -> None:
    """What runs, or waits, is found by its indexes: beside twenty times as many jobs that ended by no more commands."""
    calls: list[int] = []
    now = FakeClock().now()
    for number in (FEW, MANY):
        with redis_server.namespace() as namespace:
            async with _opened(namespace, 0) as backend:
                images = [
                    _image(f"0ended{i:010}", now, state=JobState.COMPLETED, ended_at=now, attempt=1)
                    for i in range(number)
                ]
                for start in range(0, number, PAGE):
                    await backend.admin.restore(images[start : start + PAGE])
                await backend.admin.restore(
                    [_image("2run", now, queue="other"), _image("3again", now, attempt=1, failures=1)]
                )
                request = ClaimRequest(node="node", queues={"other": 1}, limit=1, kinds=frozenset({"kind"}))
                await backend.jobs.claim(request)
                before = _calls(redis_server)
                page = await backend.reader.find(JobFilter(states=states), limit=3)
                calls.append(_calls(redis_server) - before)
                assert [job.id for job in page.jobs] == found
    few, many = calls
    assert 0 < many == few


async def test_what_ended_earlier_costs_nothing(redis_server: RedisServer) -> None:
    """Of what ended before the time asked for no job is looked at, whatever is asked of those after it."""
    calls: list[int] = []
    for number in (FEW, MANY):
        with redis_server.namespace() as namespace:
            clock = FakeClock()
            async with _opened(namespace, number, clock) as backend:
                # In the crowd each ends a microsecond after the one before.
                clock.move((number - 29) / SECOND)
                before = _calls(redis_server)
                for where, found in ((JobFilter(), 57), (JobFilter(tags=("strange",)), 0)):
                    page = await backend.reader.timings(JobState.COMPLETED, where, within=0, limit=100)
                    assert len(page.jobs) == found
                calls.append(_calls(redis_server) - before)
    few, many = calls
    assert few > 0
    assert many == few


async def _with_schedules(backend: Backend, number: int, now: int) -> None:
    """Put schedules that are due later, never, and 50 now; of those that ever are, each has a line, each second a job."""
    dues = {f"later{i:05}": now + 1000 * SECOND + i for i in range(number)} | {f"due{i:05}": now - i for i in range(50)}
    await change(backend, *(ScheduleChange(schedule=schedule(f"never{i:05}")) for i in range(number)))
    await change(
        backend,
        *(
            _fired(name, due)
            if at % 2
            else ScheduleChange(schedule=schedule(name, due_at=due, last_job="gone"), ticks=(tick(schedule=name),))
            for at, (name, due) in enumerate(dues.items())
        ),
    )


def _fired(name: str, due: int, version: int = 0) -> ScheduleChange:
    job = NewJob(id=f"2tick{name}{version}", kind="kind", queue="ticks", args="{}")
    return fire(job, schedule(name, version, due_at=due))


async def _due(backend: Backend) -> None:
    due = await backend.schedules.due(30)
    assert (len(due.schedules), len(due.unended), due.wait) == (30, 15, 0)


async def _due_and_wait(backend: Backend) -> None:
    due = await backend.schedules.due(100)
    assert len(due.schedules) == 50
    assert due.wait


async def _fire(backend: Backend) -> None:
    firing = [_fired(f"due{i:05}", due=1 << 60, version=1) for i in range(50)]
    assert not any(answer.outrun for answer in await change(backend, *firing))


async def _read_schedules(backend: Backend) -> None:
    assert await known(backend, ["later00007", "nobody"]) == ["later00007"]
    page = await backend.schedule_reader.find(limit=20, after="later00100")
    assert page.schedules[0].name == "later00101"
    assert len(await ledger(backend, schedule="later00007")) == 1
    assert len((await backend.schedule_reader.ticks(limit=20)).ticks) == 20


async def _prune_lines_and_remove(backend: Backend) -> None:
    keep = Keep(completed=None, cancelled=None, dead=None, ticks=0)
    assert await backend.admin.prune(keep, 20) == 20
    assert await backend.schedules.remove("later00008", 1)


@pytest.mark.parametrize(
    "verb",
    [_due, _due_and_wait, _fire, _read_schedules, _prune_lines_and_remove],
    ids=lambda verb: verb.__name__.strip("_"),
)
async def test_schedules_that_are_not_due_cost_nothing(
    redis_server: RedisServer, verb: Callable[[Backend], Awaitable[None]]
) -> None:
    """Beside twenty times as many schedules and lines of ledgers, a verb's scripts call no more commands."""
    calls: list[int] = []
    for number in (FEW, MANY):
        with redis_server.namespace() as namespace:
            async with _opened(namespace, 0) as backend:
                await _with_schedules(backend, number, FakeClock().now())
                before = _calls(redis_server)
                await verb(backend)
                calls.append(_calls(redis_server) - before)
    few, many = calls
    assert few > 0
    assert many <= few + SLACK


def test_no_script_walks_a_key() -> None:
    """No script reads the whole of a key, or a range of it without a bound."""
    scripts = [file for file in files("backburner.backends.redis.lua").iterdir() if file.name.endswith(".lua")]
    assert len(scripts) > 10
    for script in scripts:
        text = script.read_text("utf-8")
        walks = [match.group() for match in (*WALKS.finditer(text), *UNBOUNDED.finditer(text))]
        assert walks == [] or script.name in WHOLE, script.name
