"""Group commit of what comes in: callers' jobs and cancellations, in one first-in first-out line.

While a write is in flight others wait, and all leave together in the next one. Idle, nothing waits for anything.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from backburner.errors import NotRunning, StoreBusy, StoreError, StoreRefused, StoreUnavailable
from backburner.jobs.loop import Loop
from backburner.ports.jobs import Birth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

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


class _Batch:
    """What leaves together: groups first, then cancellations, so that none overtakes its job."""

    __slots__ = ("cancels", "entries", "jobs")

    def __init__(self) -> None:
        self.entries: list[_Entry] = []
        self.cancels: list[tuple[Sequence[str], asyncio.Future[CancelAnswer]]] = []
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
        self._room: deque[asyncio.Future[None]] = deque()
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
        try:
            await self._wait_for_room(jobs)
        except BaseException:
            self._dropped(jobs, tokens)
            raise
        entry = _Entry(jobs, tokens, self._clock.monotonic() + self._write_timeout, self._event_loop.create_future())
        batch = self._last_batch(after_cancels=False)
        batch.entries.append(entry)
        batch.jobs += len(jobs)
        self._jobs += len(jobs)
        self._bytes += entry.size
        if self._expiry is None:
            self._expiry = self._clock.call_later(self._write_timeout, self._expire)
        self._loop.wake()
        return await entry.future

    async def cancel(self, ids: Sequence[str]) -> CancelAnswer:
        """Cancel jobs, after every group that came before."""
        if self._closed:
            raise NotRunning
        future: asyncio.Future[CancelAnswer] = self._event_loop.create_future()
        self._last_batch(after_cancels=True).cancels.append((ids, future))
        self._loop.wake()
        return await future

    async def close(self, grace: float) -> None:
        """Refuse what is new, write what waits for at most ``grace`` seconds, fail the rest; end."""
        self._closed = True
        for waiter in self._room:
            if not waiter.done():
                waiter.set_result(None)
        timer = self._clock.call_later(grace, self._drained.set)
        await self._drained.wait()
        timer.cancel()
        await self._loop.stop()
        if self._expiry is not None:
            self._expiry.cancel()
        for entry in tuple(self._entries()):
            self._fail(entry, StoreUnavailable("the engine stopped before the store could be reached"))
        for batch in (*self._batches, *([self._leaving] if self._leaving else ())):
            for _, future in batch.cancels:
                if not future.done():
                    future.set_exception(NotRunning())

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

    async def _wait_for_room(self, jobs: Sequence[NewJob]) -> None:
        if self._jobs and (self._jobs + len(jobs) > MOST_JOBS or self._bytes > MOST_BYTES):
            await self._line_up(jobs)
        if self._closed:
            raise NotRunning

    async def _line_up(self, jobs: Sequence[NewJob]) -> None:
        waiter: asyncio.Future[None] = self._event_loop.create_future()
        self._room.append(waiter)
        timer = self._clock.call_later(self._write_timeout, lambda: waiter.done() or waiter.cancel("no room"))
        try:
            await waiter
        except asyncio.CancelledError as error:
            if error.args != ("no room",):
                raise
            raise self._too_late("no", jobs) from self._last_error
        finally:
            timer.cancel()
            if waiter in self._room:
                self._room.remove(waiter)

    def _make_room(self, entries: Sequence[_Entry]) -> None:
        self._jobs -= sum(len(entry.jobs) for entry in entries)
        self._bytes -= sum(entry.size for entry in entries)
        while self._room and self._jobs < MOST_JOBS:
            waiter = self._room.popleft()
            if not waiter.done():
                waiter.set_result(None)

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
            self._make_room(entries)
            raise
        finally:
            self._writing = False
        batch.entries = []
        self._make_room(entries)
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
        self._make_room(gone)
        batch.entries = kept
        return kept

    async def _write_cancels(self, batch: _Batch) -> None:
        cancels = [(ids, future) for ids, future in batch.cancels if not future.done()]
        if not cancels:
            batch.cancels = []
            return
        wanted = dict.fromkeys(job for ids, _ in cancels for job in ids)
        try:
            answer = await self._admin.cancel(tuple(wanted))
        except _PASSING as error:
            self._last_error = error
            raise
        except Exception as error:
            batch.cancels = []
            for _, future in cancels:
                if not future.done():
                    future.set_exception(error)
            raise
        batch.cancels = []
        for _, future in cancels:
            if not future.done():
                future.set_result(answer)

    # ---- running out of time -----------------------------------------------------------------------------------

    def _entries(self) -> Iterator[_Entry]:
        """Every group that waits; one that is being written does not."""
        if self._leaving is not None and not self._writing:
            yield from self._leaving.entries
        for batch in self._batches:
            yield from batch.entries

    def _expire(self) -> None:
        self._expiry = None
        self._expire_due()
        soonest = min((entry.deadline for entry in self._entries() if not entry.future.done()), default=None)
        if soonest is None and self._writing and self._leaving is not None:
            soonest = self._clock.monotonic() + self._write_timeout
        if soonest is not None:
            self._expiry = self._clock.call_later(max(0.0, soonest - self._clock.monotonic()), self._expire)

    def _expire_due(self) -> None:
        now = self._clock.monotonic()
        for entry in self._entries():
            if entry.deadline <= now and not entry.future.done():
                self._fail(entry, self._too_late("unknown" if entry.tried else "no", entry.jobs))

    def _too_late(self, stored: str, jobs: Sequence[NewJob]) -> StoreError:
        error = self._last_error
        kind = type(error) if error is not None else StoreBusy
        what = str(error) if error is not None else "more jobs come in than the store takes"
        return kind(
            f"{what} (waited {self._write_timeout:g} s; stored: {stored}; "
            f"create_task(…, id={jobs[0].id!r}) repeats safely)",
            stored="unknown" if stored == "unknown" else "no",
            job_id=jobs[0].id,
        )

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
