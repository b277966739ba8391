"""What the roles promise of events that come with a change: stored if, and only if, the change was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
import pytest

from backburner.errors import StoreRefused
from backburner.model.event import NewEvent
from backburner.model.job import JobState
from backburner.model.lane import Limit
from backburner.model.node import KindRecord, NodeRecord, QueueRecord
from backburner.model.operation import OperationRecord
from backburner.model.schedule import ScheduleChange
from backburner.ports.schedules import ChangeAnswer
from backburner.testing.contracts.making import LEASE, add, add_claimed, ended, keyed, new, publish
from backburner.testing.contracts.scheduling import fire, plan, schedule, stored
from backburner.testing.contracts.telling import append, event, kept, log, names, subscribe

if TYPE_CHECKING:
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["CarriedEventContract"]

#: Makes a change, with events.
Verb = Callable[["Backend", Sequence[NewEvent]], Awaitable[object]]

OPERATION = OperationRecord(id="01", action="replay", state="{}")
NODE = NodeRecord(id="new", host="host", pid=1, started_at=0, queues={}, kinds=())


async def _set_queue(backend: Backend, events: Sequence[NewEvent]) -> None:
    await backend.queues.set(QueueRecord(name="q", paused=True), events)


async def _set_kind(backend: Backend, events: Sequence[NewEvent]) -> None:
    await backend.kinds.set(KindRecord(name="k"), events)


async def _override(backend: Backend, events: Sequence[NewEvent]) -> None:
    await backend.limits.override("l", Limit(slots=1), by="ada", reason=None, events=events)


async def _swap_cell(backend: Backend, events: Sequence[NewEvent]) -> None:
    await backend.cells.swap("c", "{}", 0, Limit(slots=0), events)


async def _put_operation(backend: Backend, events: Sequence[NewEvent]) -> None:
    await backend.operations.put(OPERATION, events)


async def _swap_operation(backend: Backend, events: Sequence[NewEvent]) -> None:
    await backend.operations.swap(msgspec.structs.replace(OPERATION, id="known", active=False), events)


async def _change_schedule(backend: Backend, events: Sequence[NewEvent]) -> None:
    change = msgspec.structs.replace(fire(new(), schedule("new")), events=tuple(events))
    (answer,) = (await backend.schedules.change([change])).changes
    if answer.refused is not None:
        raise StoreRefused(answer.refused, stored="no")


async def _remove_schedule(backend: Backend, events: Sequence[NewEvent]) -> None:
    await backend.schedules.remove("daily", 1, events)


async def _publish(backend: Backend, events: Sequence[NewEvent]) -> None:
    await backend.nodes.publish(NODE, LEASE, events)


async def _withdraw(backend: Backend, events: Sequence[NewEvent]) -> None:
    await backend.nodes.withdraw("node", events)


async def _drain(backend: Backend, events: Sequence[NewEvent]) -> None:
    await backend.nodes.drain("node", events)


async def _cancel(backend: Backend, events: Sequence[NewEvent]) -> None:
    await backend.admin.cancel(["later"], events=events)


async def _ask(backend: Backend, events: Sequence[NewEvent]) -> None:
    await backend.admin.cancel(["running"], events=events)


async def _expedite(backend: Backend, events: Sequence[NewEvent]) -> None:
    await backend.admin.expedite(["later"], events)


VERBS: dict[str, Verb] = {
    "queues.set": _set_queue,
    "kinds.set": _set_kind,
    "limits.override": _override,
    "cells.swap": _swap_cell,
    "operations.put": _put_operation,
    "operations.swap": _swap_operation,
    "schedules.change": _change_schedule,
    "schedules.remove": _remove_schedule,
    "nodes.publish": _publish,
    "nodes.withdraw": _withdraw,
    "nodes.drain": _drain,
    "admin.cancel": _cancel,
    "admin.cancel, which asks": _ask,
    "admin.expedite": _expedite,
}


async def _prepare(backend: Backend) -> None:
    """Store what some of these verbs change."""
    await backend.operations.put(msgspec.structs.replace(OPERATION, id="known"))
    await plan(backend)
    await publish(backend)
    await add_claimed(backend, id="running")
    await add(backend, id="later", delay=LEASE)


async def _state(backend: Backend) -> tuple[object, ...]:
    """Return all that these verbs change."""
    return (
        await backend.queues.list(),
        await backend.kinds.list(),
        await backend.limits.list(),
        (await backend.cells.load("")).cells,
        (await backend.operations.find(limit=10)).operations,
        (await backend.schedule_reader.find(limit=10)).schedules,
        (await backend.schedule_reader.ticks(limit=10)).ticks,
        await backend.nodes.find(),
        sorted((await backend.reader.get(["running", "later"])).jobs, key=lambda job: job.id),
    )


@pytest.mark.anyio
class CarriedEventContract:
    """Of a change and its events there is never one without the other."""

    @pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
    async def test_stored_with_the_change(self, harness: Harness, verb: Verb) -> None:
        """Of events that come with a change those are stored that are asked for, or kept, as they were given."""
        await _prepare(harness.backend)
        await subscribe(harness.backend, "asked.*")
        now = harness.clock.now()
        events = [
            kept("größe", subject="ünï 🙂", data='{"by":"ada \\u2603 ☃"}', id="ïd"),
            event("nobody"),
            event("asked.for", subject="s"),
            kept("again", id="ïd"),
        ]
        await verb(harness.backend, events)
        first, second = await log(await harness.second())
        assert (first.name, first.subject, first.data, first.id) == (
            *("größe", "ünï 🙂"),
            *('{"by":"ada \\u2603 ☃"}', "ïd"),
        )
        assert (second.name, second.subject, second.data, second.id) == ("asked.for", "s", "{}", None)
        assert first.number < second.number
        assert (first.time, second.time) == (now, now)

    @pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
    async def test_nobody_asks(self, harness: Harness, verb: Verb) -> None:
        """The change is made where nothing is stored of its events, as it is without any."""
        await _prepare(harness.backend)
        before = await _state(harness.backend)
        await verb(harness.backend, [event("a"), event("b")])
        assert await log(harness.backend) == []
        assert await _state(harness.backend) != before

    @pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
    async def test_an_id_that_was_stored_before(self, harness: Harness, verb: Verb) -> None:
        """An event whose id was stored before is left as it is, and keeps no change from being made."""
        await _prepare(harness.backend)
        await append(harness.backend, kept("first", id="one"))
        before = await _state(harness.backend)
        await verb(harness.backend, [kept("second", id="one"), kept("third")])
        assert await names(harness.backend) == ["first", "third"]
        assert await _state(harness.backend) != before

    @pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
    async def test_refused_for_its_content(self, harness: Harness, verb: Verb) -> None:
        """An event that no store can keep refuses the change with it."""
        await _prepare(harness.backend)
        before = await _state(harness.backend)
        with pytest.raises(StoreRefused):
            await verb(harness.backend, [kept("a"), kept(subject="a\0")])
        assert await log(harness.backend) == []
        assert await _state(harness.backend) == before

    # ---- changes that are not made -----------------------------------------------------------------------------------

    async def test_a_cell_of_another_version(self, harness: Harness) -> None:
        """A cell that is not swapped stores none."""
        await harness.backend.cells.swap("c", "{}", 0)
        assert not (await harness.backend.cells.swap("c", "{}", 0, None, [kept("a")])).swapped
        assert (await harness.backend.cells.swap("c", "{}", 1, None, [kept("b")])).swapped
        assert await names(harness.backend) == ["b"]

    async def test_an_operation_that_exists(self, harness: Harness) -> None:
        """An operation whose id exists, or whose version is another, stores none."""
        assert await harness.backend.operations.put(OPERATION, [kept("a")])
        assert not await harness.backend.operations.put(OPERATION, [kept("b")])
        assert await harness.backend.operations.swap(OPERATION, [kept("c")])
        assert not await harness.backend.operations.swap(OPERATION, [kept("d")])
        unknown = msgspec.structs.replace(OPERATION, id="02")
        assert not await harness.backend.operations.swap(unknown, [kept("e")])
        assert await names(harness.backend) == ["a", "c"]

    async def test_a_schedule_that_was_outrun(self, harness: Harness) -> None:
        """Each change of several stores its own, if it is applied; so does a removal."""
        record = await plan(harness.backend)
        refused = new(kind="a\0")
        changes = [
            msgspec.structs.replace(fire(new(), schedule()), events=(kept("outrun"),)),
            msgspec.structs.replace(fire(new(), record), events=(kept("first"),)),
            msgspec.structs.replace(fire(refused, schedule("other")), events=(kept("refused"),)),
            msgspec.structs.replace(fire(new(), schedule("other")), events=(kept("second"),)),
        ]
        answers = (await harness.backend.schedules.change(changes)).changes
        assert [answer.outrun or answer.refused is not None for answer in answers] == [True, False, True, False]
        assert not await harness.backend.schedules.remove("daily", 1, [kept("removed too late")])
        assert not await harness.backend.schedules.remove("nobody", 1, [kept("removed nothing")])
        version = (await stored(harness.backend)).version
        assert await harness.backend.schedules.remove("daily", version, [kept("removed")])
        assert await names(harness.backend) == ["first", "second", "removed"]

    async def test_a_schedule_s_jobs_come_with_it(self, harness: Harness) -> None:
        """A schedule's change tells of its jobs and of itself."""
        await subscribe(harness.backend)
        job = new()
        fired = msgspec.structs.replace(fire(job), events=(event("schedule.fired", subject="daily"),))
        await harness.backend.schedules.change([fired])
        found = [(one.name, one.subject) for one in await log(harness.backend)]
        assert sorted(found) == [("job.enqueued", job.id), ("schedule.fired", "daily")]

    async def test_a_schedule_s_jobs_that_are_stored_or_held_up(self, harness: Harness) -> None:
        """Events that name a job are stored only if that was stored, or before, or only if its key was held by another."""
        held, before = new(unique=keyed()), await add(harness.backend, unique=keyed())
        fresh, again = new(), new(id=before.id)
        events = [
            kept(f"{name}.{how}", job=job.id, held=how == "held")
            for name, job in (("held", held), ("fresh", fresh), ("again", again))
            for how in ("stored", "held")
        ]
        change = ScheduleChange(schedule=schedule(), jobs=(held, fresh, again), events=(*events, kept("whatever")))
        (answer,) = (await harness.backend.schedules.change([change])).changes
        assert answer == ChangeAnswer(holders={held.id: before.id})
        assert await names(harness.backend) == ["held.held", "fresh.stored", "again.stored", "whatever"]

    async def test_a_node_that_is_there(self, harness: Harness) -> None:
        """A node that is entered again joins no second time, and one that is not there does not leave."""
        await harness.backend.nodes.publish(NODE, LEASE, [kept("joined")])
        await harness.backend.nodes.publish(msgspec.structs.replace(NODE, kinds=("a",)), LEASE, [kept("again")])
        await harness.backend.nodes.withdraw(NODE.id, [kept("left")])
        await harness.backend.nodes.withdraw(NODE.id, [kept("left again")])
        await harness.backend.nodes.publish(NODE, LEASE, [kept("joined anew")])
        assert await names(harness.backend) == ["joined", "left", "joined anew"]

    async def test_a_node_that_is_not_alive(self, harness: Harness) -> None:
        """A node that is not alive is asked nothing, and stores nothing."""
        await publish(harness.backend)
        await harness.die("node")
        assert not await harness.backend.nodes.drain("node", [kept("a")])
        assert not await harness.backend.nodes.drain("nobody", [kept("b")])
        assert await log(harness.backend) == []

    async def test_a_job_that_is_not_cancelled(self, harness: Harness) -> None:
        """Where no job was cancelled or asked for there is nothing to tell; one is enough."""
        await publish(harness.backend)
        done = await ended(harness.backend, JobState.COMPLETED)
        await harness.backend.admin.cancel([done, "nobody"], events=[kept("none")])
        await harness.backend.admin.cancel([], events=[kept("none")])
        assert await names(harness.backend) == []
        running, waiting = (await add_claimed(harness.backend)).id, (await add(harness.backend)).id
        await subscribe(harness.backend, "job.*")
        await harness.backend.admin.cancel([done, running], events=[kept("asked")])
        await harness.backend.admin.cancel([done, waiting], events=[kept("cancelled")])
        assert await names(harness.backend) == ["asked", "job.cancelled", "cancelled"]

    async def test_none_is_the_default(self, harness: Harness) -> None:
        """Changes tell nothing of themselves."""
        await subscribe(harness.backend)
        await harness.backend.queues.set(QueueRecord(name="q", paused=True))
        await harness.backend.kinds.set(KindRecord(name="k"))
        await harness.backend.limits.override("l", Limit(slots=1), by=None, reason=None)
        await publish(harness.backend)
        await harness.backend.nodes.drain("node")
        await harness.backend.nodes.withdraw("node")
        assert await log(harness.backend) == []
        await add(harness.backend)
        assert await names(harness.backend) == ["job.enqueued"]
