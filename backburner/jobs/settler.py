"""Writes how runs ended, and asks for more in the same transaction."""

from __future__ import annotations

import asyncio
from copy import copy
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec

from backburner.errors import ClaimLost, StoreBusy, StoreError, StoreRefused, StoreUnavailable
from backburner.jobs import outcome
from backburner.jobs.aside import Aside
from backburner.jobs.loop import Loop
from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from backburner.jobs.identity import Identity
    from backburner.jobs.kit import Kit
    from backburner.model.job import Claim, JobRecord, Settlement
    from backburner.ports.jobs import ClaimBatch, ClaimRequest, JobStore

__all__ = ["Asker", "Note", "Settle", "Settler", "Subject", "Witness"]

#: Settlements in one write.
BATCH = 2_000

Subject: TypeAlias = "Claim | JobRecord"
#: Who hears what became of a note: None once it is durable, else why it never will be. Before that, `StoreBusy` each
#: time that the store stayed locked: whoever waits for the note may be the one who locks it.
Told: TypeAlias = "Callable[[Exception | None], None]"
#: Whose end, how it ended, the error it tells of; for a note, who hears of it.
Item: TypeAlias = "tuple[Subject, Settlement, BaseException | None, Told | None]"


class Settle(Protocol):
    """Where settlements go."""

    def __call__(self, job: Subject, settlement: Settlement, error: BaseException | None = None, /) -> None:
        """Take one, and the error it tells of; it will be written, whatever happens to the store meanwhile."""
        ...


class Note(Protocol):
    """Where settlements go that leave their job running."""

    def __call__(self, job: Subject, settlement: Settlement, told: Told, /) -> None:
        """Take one; ``told`` hears of it."""
        ...


class Asker(Protocol):
    """Whoever wants claims."""

    def request(self) -> ClaimRequest | None:
        """Return what to claim now, booked; None for nothing."""
        ...

    def arrived(self, request: ClaimRequest, batch: ClaimBatch) -> None:
        """Take the answer."""
        ...

    def failed(self, request: ClaimRequest) -> None:
        """Take the booking back: no answer came."""
        ...

    def wake(self) -> None:
        """Know that somebody came into the line, of whichever queue."""
        ...


class Witness(Protocol):
    """Whoever wants to know what was written."""

    def settled(self, job: Subject, settlement: Settlement, error: BaseException | None, /) -> None:
        """Hear of a settlement once it is durable."""
        ...

    def stale(self, job: Subject, /) -> None:
        """Hear of one that changed nothing: the claim was another's."""
        ...

    def wrote(self) -> None:
        """Hear that a write is over."""
        ...


@dataclass(slots=True, eq=False)
class _Locked:
    """What is to be written for one job, which somebody's open transaction has locked."""

    items: list[Item]
    #: Otherwise they are in line again, to be tried once more.
    aside: bool = False
    busy: int = 0
    again_at: float = 0.0


class Settler:
    """Group commit of settlements; nothing that is handed over is dropped, however long the store is away.

    Settlements of one job are written in the order in which they came. Those of a job that is locked are set aside and
    tried again: nobody else waits for them.
    """

    def __init__(
        self,
        store: JobStore,
        *,
        node: Identity,
        witness: Witness,
        kit: Kit,
    ) -> None:
        self._store = store
        self._node = node
        #: Set once, before the start: settler and asker know each other.
        self.asker: Asker
        self._witness = witness
        self._clock = kit.clock
        self._loop = Loop("settler", self._step, kit=kit)
        self._waiting: list[Item] = []
        #: By job, those that were locked when they were last tried; aside, or in line again.
        self._locked: dict[str, _Locked] = {}
        self._aside: Aside[_Locked] = Aside(kit)
        #: Settlements in the next write.
        self._most = BATCH
        #: A write failed unforeseen, and the claim in it may be why: until a claim succeeds none rides along.
        self._apart = False
        self._drained = asyncio.Event()
        self._drained.set()

    def start(self) -> None:
        """Begin to write."""
        self._loop.start()

    def settle(self, job: Subject, settlement: Settlement, error: BaseException | None = None, /) -> None:
        """Write this settlement, as soon as may be."""
        self._add((job, settlement, error, None))

    def note(self, job: Subject, settlement: Settlement, told: Told, /) -> None:
        """Write a settlement that leaves its job running."""
        self._add((job, settlement, None, told))

    def _add(self, item: Item) -> None:
        if not self._waiting:
            self._drained.clear()
        if self._locked and (locked := self._locked.get(item[0].id)) is not None and locked.aside:
            locked.items.append(item)
            return
        self._waiting.append(item)
        self._loop.wake()

    def wake(self) -> None:
        """See whether there is something to claim."""
        self._loop.wake()

    def retry(self) -> None:
        """Try again at once what failed: the store is back."""
        self._loop.retry()

    @property
    def pending(self) -> frozenset[str]:
        """Ids of jobs whose settlements are not durable yet."""
        return frozenset(job_id for job_id, _ in self.claims())

    def claims(self) -> list[tuple[str, int]]:
        """Return the jobs, and their tokens, whose settlements are not durable yet."""
        return [(item[0].id, item[1].token) for item in self._all()]

    @property
    def away(self) -> bool:
        """Whether the store could not be reached when it was last tried."""
        return self._loop.away

    def _all(self) -> Iterator[Item]:
        yield from self._waiting
        for locked in self._aside.items:
            yield from locked.items

    async def close(self, grace: float) -> int:
        """Write what waits, for at most ``grace`` seconds; end. Returns how many settlements could not be written."""
        timer = self._clock.call_later(grace, self._drained.set)
        await self._drained.wait()
        timer.cancel()
        await self._loop.stop()
        unwritten = list(self._all())
        for _, _, _, told in unwritten:
            if told is not None:
                told(StoreUnavailable("the engine stopped before the store could be reached", stored="unknown"))
        return len(unwritten)

    async def _step(self) -> float | None:
        for locked in self._aside.due():
            locked.aside = False
            self._waiting += locked.items
        node, items = self._next_items()
        alone = bool(items) and (self._apart or node != self._node.id)
        request = None if alone else self.asker.request()
        if not items and request is None:
            self._loop.idle = True
            self._rest()
            return self._aside.wait()
        # Also while a claim is under way alone: cancelled in mid-air, its jobs would be nobody's.
        self._drained.clear()
        try:
            await self._write(node, items, request)
        except BaseException:
            if request is not None:
                self.asker.failed(request)
            raise
        finally:
            self._rest()
        return 0 if self._waiting or alone else self._aside.wait()

    def _next_items(self) -> tuple[str, list[Item]]:
        """Take from the head of the line what one node holds: what was claimed under a former id is still that one's."""
        items = self._waiting[: self._most]
        holder = self._node.holder
        if not items or not self._node.renewed:
            return self._node.id, items
        node = holder(items[0][0].id, items[0][1].token)
        return node, list(takewhile(lambda item: holder(item[0].id, item[1].token) == node, items))

    def _rest(self) -> None:
        if not self._waiting and not self._aside:
            self._drained.set()

    async def _write(self, node: str, items: Sequence[Item], request: ClaimRequest | None) -> None:
        if not items:
            if request is not None:
                self.asker.arrived(request, await self._store.claim(request))
                self._apart = False
            return
        try:
            answer = await self._store.settle(node, [settlement for _, settlement, _, _ in items], request)
        except Exception as error:
            # A store that is busy, away or full takes the same settlements later; content is never taken.
            unforeseen = not isinstance(error, StoreError)
            if unforeseen and request is not None:
                self._apart = True
            elif unforeseen or isinstance(error, StoreRefused):
                self._isolate(error)
            elif isinstance(error, StoreBusy):
                _tell_busy(items, error)
            raise
        del self._waiting[: len(items)]
        self._most = min(BATCH, self._most * 2)
        if self._locked or answer.busy:
            items = self._set_aside(items, frozenset(answer.busy))
        self._tell(items, answer.stale, answer.cancelled)
        if answer.let_in:
            # Whose key came free here: a store need not tell a node of its own changes.
            self.asker.wake()
        if request is not None and answer.batch is not None:
            self.asker.arrived(request, answer.batch)

    def _set_aside(self, items: Sequence[Item], busy: AbstractSet[str]) -> Sequence[Item]:
        """Take what is locked out of the line, and what came for the same jobs meanwhile; return what was written."""
        written = [item for item in items if item[0].id not in busy]
        for job, *_ in written:
            self._locked.pop(job.id, None)
        found: dict[str, list[Item]] = {}
        for item in (*items, *self._waiting):
            if item[0].id in busy:
                found.setdefault(item[0].id, []).append(item)
        self._waiting = [item for item in self._waiting if item[0].id not in busy]
        for job_id, mine in found.items():
            locked = self._locked.setdefault(job_id, _Locked(mine))
            locked.items, locked.aside = mine, True
            self._aside.put(locked)
            why = f"job {job_id} is locked in somebody's open transaction: end that; until then this is tried again"
            _tell_busy(mine, StoreBusy(why, stored="no", job_id=job_id))
        return written

    def _tell(self, items: Sequence[Item], stale: Sequence[str], cancelled: Mapping[str, str]) -> None:
        witness = self._witness
        for job, settlement, error, told in items:
            if told is not None:
                told(ClaimLost() if job.id in stale else None)
            elif stale and job.id in stale:
                witness.stale(job)
            elif cancelled and job.id in cancelled:
                ended = msgspec.structs.replace(settlement, state=JobState.CANCELLED, reason=cancelled[job.id])
                witness.settled(job, ended, None)
            else:
                witness.settled(job, settlement, error)
        witness.wrote()

    def _isolate(self, error: Exception) -> None:
        """Find the settlement that the store refuses for its content: it must not keep the others from being written.

        The next writes take half as many, until the guilty one stands alone; then its texts are dropped and the
        refusal takes their place, so that the job still ends.
        """
        taken = min(self._most, len(self._waiting))
        if taken > 1:
            self._most = taken // 2
            return
        job, settlement, _, told = self._waiting[0]
        if told is not None:
            del self._waiting[0]
            told(error)
            return
        refusal = outcome.storable(f"the store refused how this run ended: {error}")
        self._waiting[0] = (job, outcome.unwritable(settlement, refusal), error, None)


def _tell_busy(items: Sequence[Item], error: StoreBusy) -> None:
    """Let those who wait for notes go, each with an error of its own; what they noted stays in line."""
    for _, _, _, told in items:
        if told is not None:
            told(copy(error))
