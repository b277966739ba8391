"""A store in memory that does as it is told: holds its answers back, fails, loses an answer, refuses content."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from random import Random
from typing import TYPE_CHECKING, TypeVar

from msgspec import structs

from backburner.backends.memory import MemoryBackend, MemoryDatabase
from backburner.jobs.definition import JobOptions, define
from backburner.jobs.identity import Identity
from backburner.jobs.kit import Kit
from backburner.jobs.registry import Kinds
from backburner.model.job import CANCELLED, Claim, NewJob
from backburner.model.node import NodeRecord
from backburner.ports.jobs import Enqueued, GroupAnswer
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from backburner.jobs.definition import Definition
    from backburner.model.event import NewEvent
    from backburner.model.job import JobImage, Settlement
    from backburner.model.operation import OperationRecord
    from backburner.ports.jobs import (
        Birth,
        CancelAnswer,
        ClaimBatch,
        ClaimRequest,
        Disposed,
        ExpediteAnswer,
        Keep,
        Letter,
        Recovery,
        Restored,
        Settled,
    )
    from backburner.ports.telemetry import Signal

T = TypeVar("T")

SECOND = 1_000_000
LEASE = 30 * SECOND


def seeded() -> Random:
    """Chance that is the same in every run."""
    return Random(7)


class Ear:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple[Signal, dict[str, object]]] = []
        self.errors: list[BaseException] = []

    def __call__(self, signal: Signal, /, *, error: BaseException | None = None, **fields: object) -> None:
        self.heard.append((signal, fields))
        if error is not None:
            self.errors.append(error)

    def told(self, signal: Signal) -> list[dict[str, object]]:
        return [fields for heard, fields in self.heard if heard is signal]


class Orders:
    """What the store is told, verb by verb, and what it was asked."""

    def __init__(self) -> None:
        #: Each verb asked, and the job ids it concerned.
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.under_way = 0
        self._errors: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self._lost: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self._held: dict[str, asyncio.Event] = {}
        #: A write that holds one of these ids fails with the error.
        self.poison: dict[str, Exception] = {}
        #: Somebody's open transaction holds these ids.
        self.locked: set[str] = set()

    def hold(self, verb: str) -> None:
        """Begin no such verb before `release`."""
        self._held[verb] = asyncio.Event()

    def release(self, verb: str) -> None:
        self._held.pop(verb).set()

    def fail(self, verb: str, *errors: Exception) -> None:
        """Fail the next such verbs, one by one, before they change anything."""
        self._errors[verb].extend(errors)

    def mend(self, verb: str) -> None:
        """Fail no more."""
        self._errors[verb].clear()

    def lose(self, verb: str, error: Exception) -> None:
        """Do the next such verb, and lose its answer."""
        self._lost[verb].append(error)

    async def obey(self, verb: str, ids: Sequence[str], do: Callable[[], Awaitable[T]]) -> T:
        self.asked.append((verb, tuple(ids)))
        self.under_way += 1
        try:
            if verb in self._held:
                await self._held[verb].wait()
            if self._errors[verb]:
                raise self._errors[verb].popleft()
            for job_id in ids:
                if job_id in self.poison:
                    raise self.poison[job_id]
            answer = await do()
            if self._lost[verb]:
                raise self._lost[verb].popleft()
            return answer
        finally:
            self.under_way -= 1

    def writes(self, verb: str) -> list[tuple[str, ...]]:
        """The ids of each such verb, in the order they were asked."""
        return [ids for asked, ids in self.asked if asked == verb]


class ToldJobs:
    """A `JobStore`, a `JobAdmin` and the read of a `JobReader`, over the store in memory."""

    def __init__(self, backend: MemoryBackend, orders: Orders) -> None:
        self._backend = backend
        self._orders = orders
        self.births: list[Birth | None] = []
        #: Each settlement's job, and the node it was written for.
        self.holders: list[tuple[str, str]] = []
        self.requests: list[ClaimRequest] = []

    async def enqueue(
        self, groups: Sequence[Sequence[NewJob]], birth: Birth | None = None, tx: object = None
    ) -> Enqueued:
        self.births.append(birth)
        ids = [job.id for group in groups for job in group]
        return await self._orders.obey("enqueue", ids, lambda: self._enqueue(groups, birth, tx))

    async def _enqueue(self, groups: Sequence[Sequence[NewJob]], birth: Birth | None, tx: object) -> Enqueued:
        """Store the groups of which nothing is locked."""
        free = [group for group in groups if self._orders.locked.isdisjoint(job.id for job in group)]
        answer = await self._backend.jobs.enqueue(free, birth, tx)
        answers = iter(answer.groups)
        busy = GroupAnswer(busy=True)
        return Enqueued(answer.now, tuple(next(answers) if group in free else busy for group in groups))

    async def claim(self, request: ClaimRequest) -> ClaimBatch:
        self.requests.append(request)
        return await self._orders.obey("claim", (), lambda: self._backend.jobs.claim(request))

    async def settle(
        self, node: str, settlements: Sequence[Settlement], claim: ClaimRequest | None = None, tx: object = None
    ) -> Settled:
        if claim is not None:
            self.requests.append(claim)
        ids = [settlement.id for settlement in settlements]
        self.holders += [(settlement.id, node) for settlement in settlements]
        return await self._orders.obey("settle", ids, lambda: self._settle(node, settlements, claim, tx))

    async def _settle(
        self, node: str, settlements: Sequence[Settlement], claim: ClaimRequest | None, tx: object
    ) -> Settled:
        """Write those that are not locked."""
        free = [settlement for settlement in settlements if settlement.id not in self._orders.locked]
        answer = await self._backend.jobs.settle(node, free, claim, tx)
        busy = dict.fromkeys(each.id for each in settlements if each.id in self._orders.locked)
        return structs.replace(answer, busy=tuple(busy))

    async def recover(self, node: str, limit: int) -> Recovery:
        return await self._orders.obey("recover", (), lambda: self._backend.jobs.recover(node, limit))

    async def cancel(
        self, ids: Sequence[str], reason: str = CANCELLED, events: Sequence[NewEvent] = ()
    ) -> CancelAnswer:
        return await self._orders.obey("cancel", ids, lambda: self._cancel(ids, reason, events))

    async def _cancel(self, ids: Sequence[str], reason: str, events: Sequence[NewEvent]) -> CancelAnswer:
        """Cancel those that are not locked."""
        locked = self._orders.locked
        answer = await self._backend.admin.cancel([job_id for job_id in ids if job_id not in locked], reason, events)
        return structs.replace(answer, busy=tuple(job_id for job_id in ids if job_id in locked))

    async def expedite(self, ids: Sequence[str], events: Sequence[NewEvent] = ()) -> ExpediteAnswer:
        return await self._orders.obey("expedite", ids, lambda: self._expedite(ids, events))

    async def _expedite(self, ids: Sequence[str], events: Sequence[NewEvent]) -> ExpediteAnswer:
        """Bring those forward that are not locked."""
        locked = self._orders.locked
        answer = await self._backend.admin.expedite([job_id for job_id in ids if job_id not in locked], events)
        return structs.replace(answer, busy=tuple(job_id for job_id in ids if job_id in locked))

    async def release(self, limit: int) -> int:
        return await self._orders.obey("release", (), lambda: self._backend.admin.release(limit))

    async def restore(self, jobs: Sequence[JobImage]) -> Restored:
        ids = [image.record.id for image in jobs]
        return await self._orders.obey("restore", ids, lambda: self._backend.admin.restore(jobs))

    async def replay(self, letters: Sequence[Letter], operation: OperationRecord | None = None) -> Disposed:
        ids = [letter.id for letter in letters]
        return await self._orders.obey("replay", ids, lambda: self._backend.admin.replay(letters, operation))

    async def purge(self, letters: Sequence[Letter], operation: OperationRecord | None = None) -> Disposed:
        ids = [letter.id for letter in letters]
        return await self._orders.obey("purge", ids, lambda: self._backend.admin.purge(letters, operation))

    async def prune(self, keep: Keep, limit: int) -> int:
        return await self._orders.obey("prune", (), lambda: self._backend.admin.prune(keep, limit))


class Stage:
    """A store, a clock, an ear and a published node: what a part of the engine is put on to be tested.

    Beside another it shares that one's clock and jobs, over a connection of its own.
    """

    def __init__(self, beside: Stage | None = None) -> None:
        self.clock: FakeClock = FakeClock() if beside is None else beside.clock
        self.ear = Ear()
        self.kit = Kit(self.clock, self.ear, seeded())
        self.node = Identity()
        self.database: MemoryDatabase = MemoryDatabase() if beside is None else beside.database
        self.backend = MemoryBackend(self.clock, self.database)
        self.orders = Orders()
        self.store = ToldJobs(self.backend, self.orders)
        self.kinds = Kinds()

    async def open(self) -> None:
        await self.backend.open(create=True)
        await self.publish(self.node.id)

    def cut(self) -> None:
        """Have every verb find the store away."""
        self.backend._connection.close()

    def mend(self) -> None:
        """Have the store back."""
        self.backend._connection.open(write=True)

    async def publish(self, node: str, ttl: int = LEASE) -> None:
        record = NodeRecord(
            id=node, host="here", pid=1, started_at=self.clock.now(), queues={"default": 10}, kinds=("work",)
        )
        await self.backend.nodes.publish(record, ttl)

    async def settle(self) -> None:
        """Let tasks run that wait for nothing but each other."""
        await self.clock.settle()

    async def wait(self, seconds: float) -> None:
        """Let what was begun get under way, then let time pass."""
        await self.clock.settle()
        await self.clock.advance(seconds)

    def row(self, job_id: str) -> tuple[str, int, int, int, int]:
        """State, attempt, failures, crashes and interruptions, as stored."""
        row = self.database.jobs[job_id]
        return row.state.value, row.attempt, row.failures, row.crashes, row.interruptions

    def define(self, fn: Callable[..., object], **options: object) -> Definition:
        """Declare a job; its kind is the function's name."""
        declared = JobOptions(**options)  # type: ignore[arg-type]
        definition = define(
            fn,
            name=None,
            queue=declared.queue,
            priority=declared.priority,
            retry=declared.retry,
            timeout=None if declared.timeout is None else declared.timeout / SECOND,
            expires=None,
            unique=declared.unique,
            tags=declared.tags,
            executor=None,
            aliases=(),
            prefix="",
        )
        self.kinds.add(definition)
        return definition


def job(job_id: str, kind: str = "work", **fields: object) -> NewJob:
    """A job on its way in."""
    return NewJob(**{"id": job_id, "kind": kind, "queue": "default", "args": "{}", **fields})  # type: ignore[arg-type]


def claim(job_id: str, kind: str = "work", **fields: object) -> Claim:
    """A claim, first attempt unless told otherwise."""
    made: dict[str, object] = {
        "id": job_id,
        "kind": kind,
        "queue": "default",
        "args": "{}",
        "priority": 5,
        "attempt": 1,
        "failures": 0,
        "crashes": 0,
        "interruptions": 0,
        "token": 1,
        "timeout": None,
        "retry": None,
        "backoff": None,
        "created_at": 0,
        "due_at": 0,
        "expires_at": None,
        "claimed_at": 1,
    }
    return Claim(**(made | fields))  # type: ignore[arg-type]
