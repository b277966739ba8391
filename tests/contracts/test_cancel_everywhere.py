"""Cancelled at any moment, a verb leaves all of its effect or nothing of it, and the store as usable as before."""

from __future__ import annotations

import asyncio
import functools
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio.lowlevel
import msgspec
import pytest

from backburner.model.clock import SECOND
from backburner.model.job import GROUP_CANCELLED, UNIQUE_GATE, JobImage, JobState, Settlement
from backburner.model.lane import LANE_GATE, Limit
from backburner.model.node import KindRecord, NodeRecord, QueueRecord
from backburner.model.operation import OperationRecord
from backburner.model.query import JobFilter
from backburner.model.schedule import Outcome, ScheduleChange
from backburner.ports.backend import Hint
from backburner.ports.events import Confirmation
from backburner.ports.jobs import Birth, Keep, Letter
from backburner.testing.contracts.making import (
    LEASE,
    add,
    add_claimed,
    ask,
    claim,
    ended,
    held,
    ids,
    keyed,
    new,
    publish,
    read,
    settle,
    to_settle,
)
from backburner.testing.contracts.scheduling import change, fire, known, ledger, plan, schedule, skip, tick
from backburner.testing.contracts.telling import append, event, kept, listening, names, subscribe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from backburner.testing.harness import Harness

#: A verb that has not ended after so many turns of the loop hangs.
TURNS = 1_000_000
KEEP = Keep(completed=0, cancelled=0, dead=0)


class Attempt(NamedTuple):
    """One verb made ready, a way to look at its effect, and the two sights there may be."""

    verb: Callable[[], Awaitable[Any]]
    look: Callable[[], Awaitable[Any]]
    nothing: Any
    all: Any


async def _states(harness: Harness, job_ids: list[str]) -> list[JobState]:
    page = await harness.backend.reader.get(job_ids)
    return [record.state for record in page.jobs]


async def _enqueue(harness: Harness) -> Attempt:
    jobs = [new() for _ in range(3)]
    return Attempt(
        lambda: harness.backend.jobs.enqueue([jobs]),
        lambda: _states(harness, ids(jobs)),
        [],
        [JobState.PENDING] * 3,
    )


async def _bear(harness: Harness) -> Attempt:
    jobs = [new() for _ in range(3)]
    birth = Birth("node", dict.fromkeys(ids(jobs), 7))
    return Attempt(
        lambda: harness.backend.jobs.enqueue([jobs], birth),
        lambda: _states(harness, ids(jobs)),
        [],
        [JobState.RUNNING] * 3,
    )


async def _claim(harness: Harness) -> Attempt:
    jobs = [await add(harness.backend) for _ in range(3)]
    return Attempt(
        lambda: harness.backend.jobs.claim(ask()),
        lambda: _states(harness, ids(jobs)),
        [JobState.PENDING] * 3,
        [JobState.RUNNING] * 3,
    )


async def _settle(harness: Harness) -> Attempt:
    """Settle two jobs, and claim a third in the same step."""
    claims = [await add_claimed(harness.backend) for _ in range(2)]
    job = await add(harness.backend)
    return Attempt(
        lambda: harness.backend.jobs.settle("node", [to_settle(claimed) for claimed in claims], ask()),
        lambda: _states_in_order(harness, [*ids(claims), job.id]),
        [JobState.RUNNING, JobState.RUNNING, JobState.PENDING],
        [JobState.COMPLETED, JobState.COMPLETED, JobState.RUNNING],
    )


async def _states_in_order(harness: Harness, job_ids: list[str]) -> list[JobState]:
    return [(await read(harness.backend, job_id)).state for job_id in job_ids]


async def _recover(harness: Harness) -> Attempt:
    job, other = [await add(harness.backend, expires_in=-1) for _ in range(2)]
    return Attempt(
        lambda: harness.backend.jobs.recover("node", 10),
        lambda: _states(harness, [job.id, other.id]),
        [JobState.PENDING] * 2,
        [JobState.RUNNING] * 2,
    )


async def _cancel(harness: Harness) -> Attempt:
    claimed = await add_claimed(harness.backend)
    job = await add(harness.backend)

    async def look() -> tuple[bool, JobState]:
        return (await read(harness.backend, claimed.id)).cancel, (await read(harness.backend, job.id)).state

    return Attempt(
        lambda: harness.backend.admin.cancel([job.id, claimed.id]),
        look,
        (False, JobState.PENDING),
        (True, JobState.CANCELLED),
    )


async def _cancel_and_tell(harness: Harness) -> Attempt:
    job = await add(harness.backend)
    name = f"cancelled.{job.id}"

    async def look() -> tuple[JobState, bool]:
        return (await read(harness.backend, job.id)).state, name in await names(harness.backend)

    return Attempt(
        lambda: harness.backend.admin.cancel([job.id], events=[kept(name)]),
        look,
        (JobState.PENDING, False),
        (JobState.CANCELLED, True),
    )


async def _expedite(harness: Harness) -> Attempt:
    jobs = [await add(harness.backend, delay=SECOND) for _ in range(2)]
    name = f"expedited.{jobs[0].id}"
    now = harness.clock.now()

    async def look() -> tuple[list[int], bool]:
        records = [await read(harness.backend, job.id) for job in jobs]
        return [record.due_at for record in records], name in await names(harness.backend)

    return Attempt(
        lambda: harness.backend.admin.expedite(ids(jobs), [kept(name)]),
        look,
        ([now + SECOND] * 2, False),
        ([now] * 2, True),
    )


async def _prune(harness: Harness) -> Attempt:
    claims = [await add_claimed(harness.backend) for _ in range(3)]
    for claimed in claims:
        await settle(harness.backend, claimed)
    return Attempt(
        lambda: harness.backend.admin.prune(KEEP, 10),
        lambda: _states(harness, ids(claims)),
        [JobState.COMPLETED] * 3,
        [],
    )


async def _revive(harness: Harness) -> Attempt:
    """Store children again that their own group cancelled."""
    jobs = [await add(harness.backend, parent="parent") for _ in range(3)]
    await harness.backend.admin.cancel(ids(jobs), GROUP_CANCELLED)
    return Attempt(
        lambda: harness.backend.jobs.enqueue([jobs]),
        lambda: _states(harness, ids(jobs)),
        [JobState.CANCELLED] * 3,
        [JobState.PENDING] * 3,
    )


async def _note(harness: Harness) -> Attempt:
    claims = [await add_claimed(harness.backend) for _ in range(2)]

    async def look() -> list[tuple[int | None, str | None]]:
        records = [await read(harness.backend, claimed.id) for claimed in claims]
        return [(record.done, record.checkpoint) for record in records]

    write = [to_settle(claimed, JobState.RUNNING, progress=(1, 2), checkpoint="3") for claimed in claims]
    return Attempt(lambda: harness.backend.jobs.settle("node", write), look, [(None, None)] * 2, [(1, "3")] * 2)


async def _follow(harness: Harness) -> Attempt:
    """Settle a job that holds a key: who waits for it is let through, and its own follow-ups are stored."""
    key = keyed(new().id)
    holder = await add_claimed(harness.backend, unique=key)
    waiting, follow_ups = new(unique=key), (new(), new(unique=key))
    await settle(harness.backend, await add_claimed(harness.backend), jobs=(waiting,))
    jobs = [waiting, *follow_ups]

    async def look() -> list[tuple[str, str]]:
        page = await harness.backend.reader.get(ids(jobs))
        return sorted((record.id, record.gate) for record in page.jobs)

    gate = f"{UNIQUE_GATE}{key.key}"
    return Attempt(
        lambda: harness.backend.jobs.settle("node", [to_settle(holder, jobs=follow_ups)]),
        look,
        [(waiting.id, gate)],
        list(zip(ids(jobs), ["", "", gate], strict=True)),
    )


async def _release(harness: Harness) -> Attempt:
    keys = [keyed(new().id, states=(), period=1) for _ in range(2)]
    for key in keys:
        await ended(harness.backend, JobState.COMPLETED, unique=key)
    jobs = [new(unique=key) for key in keys]
    await settle(harness.backend, await add_claimed(harness.backend), jobs=tuple(jobs))
    harness.clock.move(1)

    async def look() -> list[str]:
        return [(await read(harness.backend, job.id)).gate for job in jobs]

    return Attempt(
        lambda: harness.backend.admin.release(1_000), look, [f"{UNIQUE_GATE}{key.key}" for key in keys], ["", ""]
    )


async def _restore(harness: Harness) -> Attempt:
    job = await add(harness.backend)
    record = msgspec.structs.replace(await read(harness.backend, job.id), parent=job.id)
    images = [JobImage(record=msgspec.structs.replace(record, id=new().id)) for _ in range(3)]
    return Attempt(
        lambda: harness.backend.admin.restore(images),
        lambda: _states(harness, [image.record.id for image in images]),
        [],
        [JobState.PENDING] * 3,
    )


async def _drain(harness: Harness) -> Attempt:
    node = await publish(harness.backend, new().id)

    async def look() -> bool:
        return node in [found.id for found in await harness.backend.nodes.find() if found.draining]

    return Attempt(lambda: harness.backend.nodes.drain(node), look, nothing=False, all=True)


async def _publish(harness: Harness) -> Attempt:
    node = new().id

    async def look() -> bool:
        return node in [found.id for found in await harness.backend.nodes.find() if found.alive]

    return Attempt(lambda: publish(harness.backend, node), look, nothing=False, all=True)


async def _withdraw(harness: Harness) -> Attempt:
    node = await publish(harness.backend, new().id)

    async def look() -> bool:
        return node in [found.id for found in await harness.backend.nodes.find()]

    return Attempt(lambda: harness.backend.nodes.withdraw(node), look, nothing=True, all=False)


async def _abandon(harness: Harness) -> Attempt:
    node = await publish(harness.backend, new().id)

    async def verb() -> None:
        async with harness.backend.keeper() as keeper:
            await keeper.abandon(node)

    async def look() -> bool:
        return node in [found.id for found in await harness.backend.nodes.find() if found.alive]

    return Attempt(verb, look, nothing=True, all=False)


async def _beat(harness: Harness) -> Attempt:
    async def verb() -> None:
        async with harness.backend.keeper() as keeper:
            await keeper.beat("node", LEASE)

    return Attempt(verb, lambda: held(harness.backend), {}, {})


async def _set_queue(harness: Harness) -> Attempt:
    name = new().id

    async def look() -> bool:
        return name in [queue.name for queue in await harness.backend.queues.list()]

    return Attempt(lambda: harness.backend.queues.set(QueueRecord(name=name)), look, nothing=False, all=True)


async def _set_kind(harness: Harness) -> Attempt:
    name = new().id

    async def look() -> bool:
        return name in [kind.name for kind in await harness.backend.kinds.list()]

    return Attempt(lambda: harness.backend.kinds.set(KindRecord(name=name)), look, nothing=False, all=True)


async def _declare(harness: Harness) -> Attempt:
    names = [new().id for _ in range(3)]

    async def look() -> int:
        return len([limit for limit in await harness.backend.limits.list() if limit.name in names])

    return Attempt(
        lambda: harness.backend.limits.declare(dict.fromkeys(names, Limit(slots=1))), look, nothing=0, all=len(names)
    )


async def _override(harness: Harness) -> Attempt:
    """Raise a limit: its lane opens with it."""
    name = new().id
    await harness.backend.limits.declare({name: Limit(slots=0)})
    job = await add(harness.backend, lanes=(name,))
    await claim(harness.backend)

    async def look() -> tuple[Limit, list[str]]:
        # In a queue of its own, the claim hands nothing out; the lane, if it is open, lets the job into the line.
        await claim(harness.backend, queues=("nothing",))
        (lane,) = (await harness.backend.limits.lanes([name])).lanes
        return lane.limit, [(await read(harness.backend, job.id)).gate]

    return Attempt(
        lambda: harness.backend.limits.override(name, Limit(slots=1), by=None, reason=None),
        look,
        (Limit(slots=0), [f"{LANE_GATE}{name}"]),
        (Limit(slots=1), [""]),
    )


async def _pass_on(harness: Harness) -> Attempt:
    """Settle the only run of a lane; who stands there comes by the claim that rides along."""
    name = new().id
    await harness.backend.limits.declare({name: Limit(slots=1)})
    holder, job = await add_claimed(harness.backend, lanes=(name,)), await add(harness.backend, lanes=(name,))
    await claim(harness.backend)

    async def look() -> tuple[list[JobState], tuple[str, ...]]:
        (lane,) = (await harness.backend.limits.lanes([name])).lanes
        return await _states_in_order(harness, [holder.id, job.id]), lane.holders

    return Attempt(
        lambda: harness.backend.jobs.settle("node", [to_settle(holder)], ask()),
        look,
        ([JobState.RUNNING, JobState.PENDING], (holder.id,)),
        ([JobState.COMPLETED, JobState.RUNNING], (job.id,)),
    )


async def _swap_cell(harness: Harness) -> Attempt:
    """Write a cell, and declare a limit of its name."""
    name = new().id

    async def look() -> tuple[int, list[str]]:
        cells = (await harness.backend.cells.load(name)).cells
        return len(cells), [limit.name for limit in await harness.backend.limits.list() if limit.name == name]

    return Attempt(lambda: harness.backend.cells.swap(name, "1", 0, Limit(slots=1)), look, (0, []), (1, [name]))


async def _acquire(harness: Harness) -> Attempt:
    name = new().id

    async def look() -> bool:
        return name in await harness.backend.leases.holders([name])

    return Attempt(
        lambda: harness.backend.leases.acquire(name, "me", LEASE, shared=False), look, nothing=False, all=True
    )


async def _let_go(harness: Harness) -> Attempt:
    name = new().id
    token = (await harness.backend.leases.acquire(name, "me", LEASE, shared=False)).token
    assert token is not None

    async def look() -> bool:
        return name in await harness.backend.leases.holders([name])

    return Attempt(lambda: harness.backend.leases.release(name, "me", token), look, nothing=True, all=False)


async def _put(harness: Harness) -> Attempt:
    operation = OperationRecord(id=new().id, action="replay", state="{}")

    async def look() -> int:
        return len((await harness.backend.operations.get([operation.id])).operations)

    return Attempt(lambda: harness.backend.operations.put(operation), look, nothing=0, all=1)


async def _swap(harness: Harness) -> Attempt:
    operation = OperationRecord(id=new().id, action="replay", state="{}")
    await harness.backend.operations.put(operation)

    async def look() -> tuple[str, int]:
        (found,) = (await harness.backend.operations.get([operation.id])).operations
        return found.state, found.version

    changed = msgspec.structs.replace(operation, state='{"at":1}')
    return Attempt(lambda: harness.backend.operations.swap(changed), look, ("{}", 1), ('{"at":1}', 2))


async def _replay(harness: Harness) -> Attempt:
    """Replay letters as a step of an operation, which counts them."""
    letters, operation = await _letters(harness)
    return Attempt(
        lambda: harness.backend.admin.replay(letters, operation),
        lambda: _disposed(harness, letters, operation),
        ([JobState.DEAD] * 2, 0),
        ([JobState.PENDING] * 2, 2),
    )


async def _purge(harness: Harness) -> Attempt:
    letters, operation = await _letters(harness)
    return Attempt(
        lambda: harness.backend.admin.purge(letters, operation),
        lambda: _disposed(harness, letters, operation),
        ([JobState.DEAD] * 2, 0),
        ([], 2),
    )


async def _letters(harness: Harness) -> tuple[list[Letter], OperationRecord]:
    """Have two dead letters, and an operation that is to deal with them."""
    records = [await read(harness.backend, await ended(harness.backend, JobState.DEAD)) for _ in range(2)]
    operation = OperationRecord(id=new().id, action="replay", state="{}")
    await harness.backend.operations.put(operation)
    return [Letter(id=record.id, token=record.token) for record in records], operation


async def _disposed(harness: Harness, letters: list[Letter], operation: OperationRecord) -> tuple[list[JobState], int]:
    (found,) = (await harness.backend.operations.get([operation.id])).operations
    return await _states(harness, [letter.id for letter in letters]), found.done


async def _fire(harness: Harness) -> Attempt:
    """Change two schedules, each with a line of its ledger and jobs; of the second the first has no room for its key."""
    records = [await plan(harness.backend, new().id, due_at=harness.clock.now()) for _ in range(2)]
    names = [record.name for record in records]
    first, second = [msgspec.structs.replace(record, due_at=None) for record in records]
    key = keyed(new().id)
    holder, refused, other = new(unique=key), new(unique=key), new()
    line = tick(schedule=second.name, job=refused.id)
    changes = [fire(holder, first), ScheduleChange(schedule=second, ticks=(line,), jobs=(refused, other))]

    async def look() -> tuple[list[int], int, list[Outcome], list[str]]:
        versions = [record.version for record in (await harness.backend.schedule_reader.get(names)).schedules]
        due = [record for record in (await harness.backend.schedules.due(1_000)).schedules if record.name in names]
        outcomes = [outcome for name in names for outcome in await _outcomes(harness, name)]
        jobs = (await harness.backend.reader.get(ids([holder, refused, other]))).jobs
        return versions, len(due), outcomes, sorted(ids(jobs))

    return Attempt(
        lambda: harness.backend.schedules.change(changes),
        look,
        ([1, 1], 2, [], []),
        ([2, 2], 0, [Outcome.FIRED, Outcome.SKIPPED], ids([holder, other])),
    )


async def _outcomes(harness: Harness, name: str) -> list[Outcome]:
    return [line.outcome for line in await ledger(harness.backend, schedule=name)]


async def _remove(harness: Harness) -> Attempt:
    record = await plan(harness.backend, new().id, due_at=1)

    async def look() -> tuple[list[str], bool]:
        due = [each.name for each in (await harness.backend.schedules.due(1_000)).schedules]
        return await known(harness.backend, [record.name]), record.name in due

    return Attempt(lambda: harness.backend.schedules.remove(record.name, 1), look, ([record.name], True), ([], False))


async def _forget_ticks(harness: Harness) -> Attempt:
    """Prune the ledger, of which nothing else is kept."""
    name = new().id
    await change(harness.backend, ScheduleChange(schedule=schedule(name), ticks=(skip(schedule=name),)))
    return Attempt(
        lambda: harness.backend.admin.prune(msgspec.structs.replace(KEEP, ticks=0), 1_000),
        lambda: _outcomes(harness, name),
        [Outcome.SKIPPED],
        [],
    )


async def _append(harness: Harness) -> Attempt:
    subject = new().id
    events = [kept(name, subject=subject, id=f"{subject}{name}") for name in "abc"]
    return Attempt(
        lambda: harness.backend.events.append(events), lambda: names(harness.backend, subject=subject), [], [*"abc"]
    )


async def _subscribe(harness: Harness) -> Attempt:
    """Subscribe: from then on what is asked for is stored."""
    name = new().id

    async def look() -> tuple[list[str], int]:
        return await _subscribed(harness, name), await append(harness.backend, event(name))

    verb = functools.partial(harness.backend.events.subscribe, listening(name, f"{name}.*", name=name))
    return Attempt(verb, look, ([], 0), ([name], 1))


async def _unsubscribe(harness: Harness) -> Attempt:
    name = new().id
    await subscribe(harness.backend, name, name=name)

    async def look() -> tuple[list[str], int]:
        return await _subscribed(harness, name), await append(harness.backend, event(name))

    return Attempt(lambda: harness.backend.events.unsubscribe(name), look, ([name], 1), ([], 0))


async def _subscribed(harness: Harness, name: str) -> list[str]:
    found = (await harness.backend.event_reader.subscriptions()).subscriptions
    return [record.name for record in found if record.name == name]


async def _confirm(harness: Harness) -> Attempt:
    """Move two subscriptions on, each with jobs."""
    subscriptions = [new().id for _ in range(2)]
    for name in subscriptions:
        await subscribe(harness.backend, "a", name=name)
    await append(harness.backend, event("a"), event("a"))
    received = (await harness.backend.events.pull(subscriptions, limit=10)).received
    jobs = [new() for _ in subscriptions]
    confirmations = [
        Confirmation(name=one.name, cursor=one.cursor, upto=one.upto, jobs=(job,))
        for one, job in zip(received, jobs, strict=True)
    ]

    async def look() -> tuple[list[int], list[JobState]]:
        found = (await harness.backend.events.pull(subscriptions, limit=10)).received
        return [len(one.events) for one in found], await _states(harness, ids(jobs))

    pending = [JobState.PENDING] * 2
    return Attempt(lambda: harness.backend.events.confirm(confirmations), look, ([2, 2], []), ([0, 0], pending))


async def _tell(harness: Harness) -> Attempt:
    """Settle a job, with a follow-up and a claim, while somebody asks: what became of them is told with it."""
    await subscribe(harness.backend)
    claimed, follow_up = await add_claimed(harness.backend), new()

    async def look() -> list[list[str]]:
        job_ids = [claimed.id, follow_up.id]
        states = sorted(state.value for state in await _states(harness, job_ids))
        return [states, *[await names(harness.backend, subject=job_id) for job_id in job_ids]]

    before = ["job.enqueued", "job.claimed"]
    return Attempt(
        lambda: harness.backend.jobs.settle("node", [to_settle(claimed, jobs=(follow_up,))], ask()),
        look,
        [["running"], before, []],
        [["completed", "running"], [*before, "job.completed"], before],
    )


async def _carry(harness: Harness) -> Attempt:
    """Enter a node, and tell of it."""
    node = new().id
    record = NodeRecord(id=node, host="host", pid=1, started_at=0, queues={}, kinds=())

    async def look() -> tuple[bool, list[str]]:
        alive = node in [found.id for found in await harness.backend.nodes.find() if found.alive]
        return alive, await names(harness.backend, subject=node)

    events = (kept("node.joined", subject=node),)
    return Attempt(
        lambda: harness.backend.nodes.publish(record, LEASE, events), look, (False, []), (True, ["node.joined"])
    )


async def _forget_events(harness: Harness) -> Attempt:
    """Prune events, of which none is kept."""
    subject = new().id
    await append(harness.backend, *[kept(name, subject=subject) for name in "abc"])

    async def look() -> tuple[list[str], bool]:
        page = await harness.backend.event_reader.read(limit=1)
        return await names(harness.backend, subject=subject), page.pruned == page.last

    keep = msgspec.structs.replace(KEEP, events=0)
    return Attempt(lambda: harness.backend.admin.prune(keep, 1_000), look, ([*"abc"], False), ([], True))


async def _reads(harness: Harness) -> Attempt:
    job = await add(harness.backend)

    async def verb() -> None:
        await harness.backend.reader.get([job.id])
        await harness.backend.reader.history(job.id)
        await harness.backend.reader.find(JobFilter(), limit=5)
        await harness.backend.reader.count(JobFilter())
        await harness.backend.reader.export(limit=5)
        await harness.backend.nodes.find()
        await harness.backend.reader.groups(JobFilter(), limit=5)
        await harness.backend.queues.list()
        await harness.backend.kinds.list()
        await harness.backend.limits.list()
        await harness.backend.limits.lanes(["x"])
        await harness.backend.cells.load("")
        await harness.backend.leases.holders()
        await harness.backend.operations.find(limit=5)
        await harness.backend.schedules.due(5)
        await harness.backend.schedule_reader.get(["x"])
        await harness.backend.schedule_reader.find(limit=5)
        await harness.backend.schedule_reader.ticks(limit=5)
        await harness.backend.reader.backlog()
        await harness.backend.events.pull(["x"], limit=5)
        await harness.backend.event_reader.read(limit=5)
        await harness.backend.event_reader.subscriptions()
        await harness.backend.schema.state()
        await harness.backend.examine()

    return Attempt(verb, lambda: _states(harness, [job.id]), [JobState.PENDING], [JobState.PENDING])


async def _upgrade(harness: Harness) -> Attempt:
    async def look() -> int:
        return (await harness.backend.schema.state()).current

    wanted = (await harness.backend.schema.state()).wanted
    return Attempt(harness.backend.schema.upgrade, look, wanted, wanted)


async def _notify(harness: Harness) -> Attempt:
    async def look() -> bool:
        return True

    return Attempt(lambda: harness.backend.notifier.notify(Hint.JOBS), look, nothing=True, all=True)


VERBS = [
    _enqueue, _bear, _claim, _settle, _recover, _cancel, _cancel_and_tell, _expedite, _prune, _publish, _withdraw, _abandon, _beat, _set_queue,
    _reads, _upgrade, _notify, _revive, _note, _follow, _release, _restore, _drain,
    _set_kind, _declare, _override, _pass_on, _swap_cell, _acquire, _let_go, _put, _swap, _replay, _purge,
    _fire, _remove, _forget_ticks,
    _append, _subscribe, _unsubscribe, _confirm, _tell, _carry, _forget_events,
]  # fmt: skip


@pytest.mark.parametrize("prepare", VERBS, ids=lambda verb: verb.__name__.strip("_"))
async def test_cancelled_anywhere(harness: Harness, prepare: Callable[[Harness], Awaitable[Attempt]]) -> None:
    """A verb cancelled at any turn of the loop leaves all of its effect or nothing, and the store works on."""
    await publish(harness.backend)
    for turns in _turns():
        attempt = await prepare(harness)
        assert await attempt.look() == attempt.nothing
        ended = await _run(attempt.verb, turns)
        await _works(harness)
        seen = await attempt.look()
        assert seen == attempt.all if ended else seen in (attempt.nothing, attempt.all)
        await _clear(harness)
        if ended:
            return


@pytest.mark.parametrize("minded", ["commits", "rolls back"])
async def test_cancelled_anywhere_in_a_transaction(harness: Harness, minded: str) -> None:
    """Cancelled in the caller's transaction, a write is in it whole or not at all, whatever the caller does then."""
    await publish(harness.backend)
    for turns in _turns():
        transaction = harness.transaction()
        if transaction is None:
            pytest.skip("this store joins no transaction")
        claimed = await add_claimed(harness.backend)
        jobs, follow_up = [new() for _ in range(3)], new()
        done: list[bool] = []
        with suppress(KeyError):
            async with transaction as tx:
                enqueue = functools.partial(harness.backend.jobs.enqueue, [jobs], tx=tx)
                done.append(await _run(enqueue, turns))
                write = [to_settle(claimed, jobs=(follow_up,))]
                done.append(await _run(functools.partial(harness.backend.jobs.settle, "node", write, tx=tx), turns))
                events = [kept(name, subject=follow_up.id) for name in "abc"]
                done.append(await _run(functools.partial(harness.backend.events.append, events, tx=tx), turns))
                assert harness.backend.transactions.is_open(tx)
                if minded == "rolls back":
                    raise KeyError
        await _works(harness)
        stored = len(await _states(harness, ids(jobs)))
        completed = (await read(harness.backend, claimed.id)).state is JobState.COMPLETED
        assert completed is bool(await _states(harness, [follow_up.id]))
        told = len(await names(harness.backend, subject=follow_up.id))
        if minded == "rolls back":
            assert (stored, completed, told) == (0, False, 0)
        else:
            assert told == 3 if done[2] else told in (0, 3)
            assert stored == 3 if done[0] else stored in (0, 3)
            assert completed or not done[1]
        await _clear(harness)
        if all(done):
            return


async def test_opened_and_closed_anywhere(harness: Harness) -> None:
    """Opening and closing may be cancelled at any turn of the loop; closed again, the store opens and works."""
    backend = await harness.second()
    job = await add(backend)

    async def reopen() -> None:
        await backend.close()
        await backend.open(create=False)

    for turns in _turns():
        ended = await _run(reopen, turns)
        await _works(harness)
        await backend.close()
        await backend.open(create=False)
        assert (await read(backend, job.id)).state is JobState.PENDING
        if ended:
            return


def _turns() -> Iterator[int]:
    """Go through every turn at first; where threads do the work, ever wider steps come to its end."""
    turns = 0
    while turns < TURNS:
        yield turns
        turns += 1 + turns // 8


async def _run(verb: Callable[[], Awaitable[Any]], turns: int) -> bool:
    """Start a verb and cancel it after some turns; tell whether it ended before."""

    async def body() -> None:
        await verb()

    task = asyncio.create_task(body())
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()
        if task.done():
            break
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return False
    return True


async def _works(harness: Harness) -> None:
    """See that nothing is locked: in a queue of their own, a job is stored, claimed and settled, here and elsewhere."""
    probe = await publish(harness.backend, "probe")
    job = await add(harness.backend, queue="probe")
    (claimed,) = await claim(harness.backend, probe, queues=("probe",))
    assert claimed.id == job.id
    await settle(harness.backend, claimed, node=probe)


async def _clear(harness: Harness) -> None:
    """End whatever is left, so that the next attempt starts from an idle node."""
    await claim(harness.backend)
    # An end may let others through.
    while rest := await held(harness.backend):
        ends = [Settlement(id=job_id, token=token, state=JobState.DEAD) for job_id, token in rest.items()]
        assert (await harness.backend.jobs.settle("node", ends, ask())).stale == ()
    await harness.backend.admin.prune(KEEP, 1000)
