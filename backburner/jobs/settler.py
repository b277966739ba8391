"""Writes how runs ended, and asks for more in the same transaction."""

from __future__ import annotations

import asyncio
from copy import copy
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec

from backburner.errors import ClaimLost, StoreBusy, StoreError, StoreRefused, StoreUnavailable
from backburner.jobs import outcome
from backburner.jobs.loop import Loop
from backburner.model.job import JobState, Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backburner.jobs.identity import Identity
    from backburner.jobs.kit import Kit
    from backburner.model.job import Claim, JobRecord
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


class Settler:
    """Group commit of settlements; nothing that is handed over is dropped, however long the store is away."""

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
        if not self._waiting:
            self._drained.clear()
        self._waiting.append((job, settlement, error, None))
        self._loop.wake()

    def note(self, job: Subject, settlement: Settlement, told: Told, /) -> None:
        """Write a settlement that leaves its job running."""
        if not self._waiting:
            self._drained.clear()
        self._waiting.append((job, settlement, None, told))
        self._loop.wake()

    def wake(self) -> None:
        """See whether there is something to claim."""
        self._loop.wake()

    @property
    def pending(self) -> frozenset[str]:
        """Ids of jobs whose settlements are not durable yet."""
        return frozenset(job.id for job, *_ in self._waiting)

    async def close(self, grace: float) -> int:
        """Write what waits, for at most ``grace`` seconds; end. Returns how many settlements could not be written."""
        timer = self._clock.call_later(grace, self._drained.set)
        await self._drained.wait()
        timer.cancel()
        await self._loop.stop()
        for _, _, _, told in self._waiting:
            if told is not None:
                told(StoreUnavailable("the engine stopped before the store could be reached", stored="unknown"))
        return len(self._waiting)

    async def _step(self) -> float | None:
        items = self._waiting[: self._most]
        request = None if items and self._apart else self.asker.request()
        if not items and request is None:
            self._drained.set()
            return None
        # Also while a claim is under way alone: cancelled in mid-air, its jobs would be nobody's.
        self._drained.clear()
        try:
            await self._write(items, request)
        except BaseException:
            if request is not None:
                self.asker.failed(request)
            raise
        finally:
            if not self._waiting:
                self._drained.set()
        return 0 if self._waiting else None

    async def _write(self, items: Sequence[Item], request: ClaimRequest | None) -> None:
        if not items:
            if request is not None:
                self.asker.arrived(request, await self._store.claim(request))
                self._apart = False
            return
        try:
            answer = await self._store.settle(self._node.id, [settlement for _, settlement, _, _ in items], request)
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
        self._tell(items, answer.stale, answer.cancelled)
        if request is not None and answer.batch is not None:
            self.asker.arrived(request, answer.batch)

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
