"""Group commit of what comes in: callers' jobs and cancellations, in one first-in first-out line.

While a write is in flight others wait, and all leave together in the next one. Idle, nothing waits for anything.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from backburner.errors import NotRunning, StoreBusy, StoreError, StoreRefused, StoreUnavailable
from backburner.jobs.loop import Loop
from backburner.ports.jobs import Birth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from backburner.errors import Stored
    from backburner.jobs.identity import Identity
    from backburner.jobs.kit import Kit
    from backburner.model.clock import Timer
    from backburner.model.job import NewJob
    from backburner.ports.jobs import CancelAnswer, GroupAnswer, JobAdmin, JobStore

__all__ = ["Intake"]

#: What may wait; a single group larger than this is taken when nothing else waits.
MOST_JOBS = 10_000
MOST_BYTES = 64 * 1024 * 1024
#: Jobs in one write. A larger batch gains nothing and delays those behind it.
BATCH = 2_000
#: What a job weighs beside its arguments, roughly.
_JOB_BYTES = 256
#: Errors that may pass by themselves.
_PASSING = (StoreBusy, StoreUnavailable)


class _Entry:
    """One group on its way, and the caller who waits for it."""

    __slots__ = ("deadline", "future", "jobs", "size", "tokens", "tried")

    def __init__(
        self, jobs: Sequence[NewJob], tokens: Mapping[str, int], deadline: float, future: asyncio.Future[GroupAnswer]
    ) -> None:
        self.jobs = jobs
        self.tokens = tokens
        self.deadline = deadline
        self.future = future
        self.size = sum(len(job.args) for job in jobs) + _JOB_BYTES * len(jobs)
        self.tried = False


_Waiter: TypeAlias = "tuple[_Entry, asyncio.Future[None]]"


class _Cancel:
    """Jobs to cancel, and the caller who waits for that."""

    __slots__ = ("deadline", "future", "ids")

    def __init__(self, ids: Sequence[str], deadline: float, future: asyncio.Future[CancelAnswer]) -> None:
        self.ids = ids
        self.deadline = deadline
        self.future = future


class _Batch:
    """What leaves together: groups first, then cancellations, so that none overtakes its job."""

    __slots__ = ("cancels", "entries", "jobs")

    def __init__(self) -> None:
        self.entries: list[_Entry] = []
        self.cancels: list[_Cancel] = []
        self.jobs = 0


class Intake:
    """Takes groups and cancellations to the store, many callers to a write.

    A caller waits at most ``write_timeout`` seconds for its turn, then gets `StoreBusy` or `StoreUnavailable`, which
    say whether the job may have been stored. A caller cancelled while its group waits withdraws it; cancelled while it
    is being written, its jobs may exist. A store that is away fails nobody before their time is up.
    """

    def __init__(
        self,
        store: JobStore,
        admin: JobAdmin,
        *,
        node: Identity,
        write_timeout: float,
        stored: Callable[[Sequence[NewJob], Mapping[str, int], GroupAnswer, int], None],
        dropped: Callable[[Sequence[NewJob], Mapping[str, int]], None],
        kit: Kit,
    ) -> None:
        self._store = store
        self._admin = admin
        self._node = node
        self._write_timeout = write_timeout
        self._stored = stored
        self._dropped = dropped
        self._clock = kit.clock
        self._event_loop = asyncio.get_running_loop()
        self._loop = Loop("intake", self._step, kit=kit)
        self._batches: deque[_Batch] = deque()
        self._leaving: _Batch | None = None
        self._writing = False
        self._jobs = 0
        self._bytes = 0
        self._room: deque[_Waiter] = deque()
        self._expiry: Timer | None = None
        self._last_error: StoreError | None = None
        self._closed = False
        self._drained = asyncio.Event()
        self._drained.set()

    def start(self) -> None:
        """Begin to write."""
        self._loop.start()

    async def enqueue(self, jobs: Sequence[NewJob], tokens: Mapping[str, int]) -> GroupAnswer:
        """Store one group, with births on offer for the jobs named in ``tokens``; returns once it is durable."""
        entry = _Entry(jobs, tokens, self._deadline(), self._event_loop.create_future())
        try:
            await self._come_in(entry)
        except BaseException:
            self._drop(entry)
            raise
        batch = self._last_batch(after_cancels=False)
        batch.entries.append(entry)
        batch.jobs += len(jobs)
        self._watch_deadlines()
        self._loop.wake()
        return await entry.future

    async def cancel(self, ids: Sequence[str]) -> CancelAnswer:
        """Cancel jobs, after every group that came before."""
        if self._closed:
            raise NotRunning
        cancel = _Cancel(ids, self._deadline(), self._event_loop.create_future())
        self._last_batch(after_cancels=True).cancels.append(cancel)
        self._watch_deadlines()
        self._loop.wake()
        return await cancel.future

    async def close(self, grace: float) -> None:
        """Refuse what is new, write what waits for at most ``grace`` seconds, fail the rest; end."""
        self._closed = True
        for _, future in self._room:
            if not future.done():
                future.set_exception(NotRunning())
        timer = self._clock.call_later(grace, self._drained.set)
        await self._drained.wait()
        timer.cancel()
        await self._loop.stop()
        if self._expiry is not None:
            self._expiry.cancel()
        for entry in tuple(self._entries()):
            self._fail(entry, StoreUnavailable("the engine stopped before the store could be reached"))
        for cancel in self._cancels():
            if not cancel.future.done():
                cancel.future.set_exception(NotRunning())

    # ---- the line ----------------------------------------------------------------------------------------------

    def _last_batch(self, *, after_cancels: bool) -> _Batch:
        if self._batches:
            last = self._batches[-1]
            if last.jobs < BATCH and (after_cancels or not last.cancels):
                return last
        batch = _Batch()
        self._batches.append(batch)
        self._drained.clear()
        return batch

    # ---- room --------------------------------------------------------------------------------------------------

    async def _come_in(self, entry: _Entry) -> None:
        """Take room for a group, in the order of the callers; a group larger than all room comes in alone."""
        if self._room or not self._fits(entry):
            await self._line_up(entry)
        else:
            self._take_room(entry)
        if self._closed:
            self._give_room([entry])
            raise NotRunning

    async def _line_up(self, entry: _Entry) -> None:
        waiter = (entry, self._event_loop.create_future())
        self._room.append(waiter)
        timer = self._clock.call_later(self._write_timeout, lambda: self._no_room(waiter))
        try:
            await waiter[1]
        except BaseException:
            if waiter in self._room:
                self._room.remove(waiter)
            elif not waiter[1].cancelled() and waiter[1].exception() is None:
                self._give_room([entry])  # let in and cancelled in the same moment
            raise
        finally:
            timer.cancel()

    def _no_room(self, waiter: _Waiter) -> None:
        entry, future = waiter
        if not future.done():
            future.set_exception(self._too_late(entry.jobs[0].id, tried=False))

    def _fits(self, entry: _Entry) -> bool:
        return not self._jobs or (self._jobs + len(entry.jobs) <= MOST_JOBS and self._bytes + entry.size <= MOST_BYTES)

    def _take_room(self, entry: _Entry) -> None:
        self._jobs += len(entry.jobs)
        self._bytes += entry.size

    def _give_room(self, entries: Sequence[_Entry]) -> None:
        self._jobs -= sum(len(entry.jobs) for entry in entries)
        self._bytes -= sum(entry.size for entry in entries)
        while self._room and (self._room[0][1].done() or self._fits(self._room[0][0])):
            entry, future = self._room.popleft()
            if not future.done():
                self._take_room(entry)
                future.set_result(None)

    # ---- one write ---------------------------------------------------------------------------------------------

    async def _step(self) -> float | None:
        batch = self._leaving
        if batch is None:
            if not self._batches:
                self._drained.set()
                return None
            batch = self._leaving = self._batches.popleft()
        await self._write_entries(batch)
        await self._write_cancels(batch)
        self._leaving = None
        self._last_error = None
        if self._batches:
            return 0
        self._drained.set()
        return None

    async def _write_entries(self, batch: _Batch) -> None:
        entries = self._without_withdrawn(batch)
        if not entries:
            return
        # Of one id stored twice in this write the first is born, under the token its caller knows.
        tokens = {job: token for entry in reversed(entries) for job, token in entry.tokens.items()}
        self._writing = True
        try:
            answer = await self._store.enqueue(
                [entry.jobs for entry in entries], Birth(self._node.id, tokens) if tokens else None
            )
        except _PASSING as error:
            self._last_error = error
            for entry in entries:
                entry.tried = entry.tried or error.stored == "unknown"
            self._writing = False
            self._expire_due()
            raise
        except Exception as error:
            batch.entries = []
            for entry in entries:
                self._fail(entry, error)
            self._give_room(entries)
            raise
        finally:
            self._writing = False
        batch.entries = []
        self._give_room(entries)
        for entry, group in zip(entries, answer.groups, strict=True):
            self._stored(entry.jobs, entry.tokens, group, answer.now)
            if entry.future.done():
                continue
            if group.refused is None:
                entry.future.set_result(group)
            else:
                entry.future.set_exception(StoreRefused(group.refused, stored="no", job_id=entry.jobs[0].id))

    def _without_withdrawn(self, batch: _Batch) -> list[_Entry]:
        """Drop the groups whose callers gave up, or were given up, while they waited."""
        kept: list[_Entry] = []
        gone: list[_Entry] = []
        for entry in batch.entries:
            (gone if entry.future.done() else kept).append(entry)
        for entry in gone:
            self._drop(entry)
        self._give_room(gone)
        batch.entries = kept
        return kept

    async def _write_cancels(self, batch: _Batch) -> None:
        batch.cancels = cancels = [cancel for cancel in batch.cancels if not cancel.future.done()]
        if not cancels:
            return
        wanted = dict.fromkeys(job for cancel in cancels for job in cancel.ids)
        try:
            answer = await self._admin.cancel(tuple(wanted))
        except _PASSING as error:
            self._last_error = error
            raise
        except Exception as error:
            batch.cancels = []
            for cancel in cancels:
                if not cancel.future.done():
                    cancel.future.set_exception(error)
            raise
        batch.cancels = []
        for cancel in cancels:
            if not cancel.future.done():
                cancel.future.set_result(answer)

    # ---- running out of time -----------------------------------------------------------------------------------

    def _deadline(self) -> float:
        return self._clock.monotonic() + self._write_timeout

    def _waiting(self) -> Iterator[_Batch]:
        """Go through the batches that are not being written."""
        if self._leaving is not None:
            yield self._leaving
        yield from self._batches

    def _entries(self) -> Iterator[_Entry]:
        """Go through the groups that wait; those that are being written do not."""
        for batch in self._waiting():
            if batch is not self._leaving or not self._writing:
                yield from batch.entries

    def _cancels(self) -> Iterator[_Cancel]:
        for batch in self._waiting():
            yield from batch.cancels

    def _watch_deadlines(self) -> None:
        if self._expiry is None:
            self._expiry = self._clock.call_later(self._write_timeout, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        self._expire_due()
        if self._leaving is not None or self._batches:
            self._watch_deadlines_from(self._soonest())

    def _soonest(self) -> float:
        waiting = [entry.deadline for entry in self._entries() if not entry.future.done()]
        waiting += [cancel.deadline for cancel in self._cancels() if not cancel.future.done()]
        return min(waiting, default=self._deadline())

    def _watch_deadlines_from(self, moment: float) -> None:
        self._expiry = self._clock.call_later(max(0.0, moment - self._clock.monotonic()), self._expire)

    def _expire_due(self) -> None:
        now = self._clock.monotonic()
        for entry in self._entries():
            if entry.deadline <= now and not entry.future.done():
                self._fail(entry, self._too_late(entry.jobs[0].id, tried=entry.tried))
        for cancel in self._cancels():
            if cancel.deadline <= now and not cancel.future.done():
                cancel.future.set_exception(self._away(f"job {cancel.ids[0]} may still be cancelled", cancel.ids[0]))

    def _too_late(self, job_id: str, *, tried: bool) -> StoreError:
        error = self._last_error
        kind = type(error) if error is not None else StoreBusy
        what = str(error) if error is not None else "more jobs come in than the store takes"
        stored: Stored = "unknown" if tried else "no"
        return kind(
            f"{what} (waited {self._write_timeout:g} s; stored: {stored}; create_task(…, id={job_id!r}) repeats safely)",
            stored=stored,
            job_id=job_id,
        )

    def _away(self, meaning: str, job_id: str) -> StoreError:
        error = self._last_error
        kind = type(error) if error is not None else StoreBusy
        what = str(error) if error is not None else "the store is busy"
        return kind(f"{what} (waited {self._write_timeout:g} s; {meaning})", stored="unknown", job_id=job_id)

    def _fail(self, entry: _Entry, error: Exception) -> None:
        if entry.future.done():
            self._drop(entry)
            return
        if isinstance(error, StoreError):
            copy = type(error)(str(error), stored=error.stored, job_id=error.job_id or entry.jobs[0].id)
            copy.__cause__ = error.__cause__
            error = copy
        entry.future.set_exception(error)
        self._drop(entry)

    def _drop(self, entry: _Entry) -> None:
        """Give back what was booked for its births, once."""
        tokens, entry.tokens = entry.tokens, {}
        self._dropped(entry.jobs, tokens)
