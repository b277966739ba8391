"""Group commit of what comes in: callers' jobs and cancellations, in one first-in first-out line.

While a write is in flight others wait, and all leave together in the next one. Idle, nothing waits for anything.
What somebody's open transaction keeps from being written is set aside and tried again in later writes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backburner.errors import NotRunning, StoreBusy, StoreError, StoreRefused, StoreUnavailable
from backburner.jobs.batch import Cancellation, Group, busy_group
from backburner.jobs.line import Line
from backburner.jobs.loop import Loop
from backburner.jobs.room import Room
from backburner.model.job import CANCELLED
from backburner.ports.jobs import Birth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backburner.errors import Stored
    from backburner.jobs.batch import Batch
    from backburner.jobs.identity import Identity
    from backburner.jobs.kit import Kit
    from backburner.model.clock import Timer
    from backburner.model.job import NewJob
    from backburner.ports.jobs import CancelAnswer, GroupAnswer, JobAdmin, JobStore

__all__ = ["Intake"]

#: Errors that may pass by themselves.
_PASSING = (StoreBusy, StoreUnavailable)


class Intake:
    """Takes groups and cancellations to the store, many callers to a write.

    A caller waits at most ``write_timeout`` seconds for its turn, then gets `StoreBusy` or `StoreUnavailable`, which
    say whether the job may have been stored. A caller cancelled while its group waits withdraws it; cancelled while it
    is being written, its jobs may exist. A store that is away fails nobody before their time is up, and a transaction
    that holds a key or an id delays those alone that want it; they keep their room in the line.
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
        # However long the store was away, a caller's time allows for a try.
        self._loop = Loop("intake", self._step, kit=kit, longest=write_timeout / 2)
        self._room = Room(kit.clock, write_timeout)
        self._line = Line(kit)
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
        group = Group(jobs, tokens, self._deadline(), self._event_loop.create_future())
        try:
            await self._room.take(len(jobs), group.size)
        except TimeoutError:
            self._drop(group)
            raise self._too_late(group) from None
        except BaseException:
            self._drop(group)
            raise
        self._line.add(group)
        self._drained.clear()
        self._watch_deadlines(self._write_timeout)
        self._loop.wake()
        return await group.future

    async def cancel(self, ids: Sequence[str], reason: str = CANCELLED) -> CancelAnswer:
        """Cancel jobs for a reason, after every group that came before.

        Jobs that stay locked until the time is up are answered as busy: they may be cancelled yet.
        """
        if self._closed:
            raise NotRunning
        cancellation = Cancellation(ids, reason, self._deadline(), self._event_loop.create_future())
        self._line.add_cancellation(cancellation)
        self._drained.clear()
        self._watch_deadlines(self._write_timeout)
        self._loop.wake()
        return await cancellation.future

    @property
    def away(self) -> bool:
        """Whether the store could not be reached when it was last tried."""
        return self._loop.away

    async def close(self, grace: float) -> None:
        """Refuse what is new, write what waits for at most ``grace`` seconds, fail the rest; end."""
        self._closed = True
        self._room.close()
        timer = self._clock.call_later(grace, self._drained.set)
        await self._drained.wait()
        timer.cancel()
        await self._loop.stop()
        if self._expiry is not None:
            self._expiry.cancel()
        for group in tuple(self._line.groups()):
            away = StoreUnavailable("the engine stopped before the store could be reached")
            self._fail(group, self._too_late(group) if group.busy else away)
        for cancellation in self._line.cancellations():
            _end(cancellation, NotRunning())

    # ---- one write ---------------------------------------------------------------------------------------------

    async def _step(self) -> float | None:
        line = self._line
        batch = line.leaving = line.leaving or line.next()
        self._loop.idle = True
        if batch is not None:
            await self._write_groups(batch)
            await self._write_cancellations(batch)
            line.leaving = None
            self._last_error = None
        if line.empty:
            self._drained.set()
        return line.wait()

    async def _write_groups(self, batch: Batch) -> None:
        groups = self._without_withdrawn(batch)
        if not groups:
            return
        # Of one id stored twice in this write the first is born, under the token its caller knows.
        tokens = {job: token for group in reversed(groups) for job, token in group.tokens.items()}
        birth = Birth(self._node.id, tokens) if tokens else None
        self._line.writing = True
        self._loop.idle = False
        try:
            answer = await self._store.enqueue([group.jobs for group in groups], birth)
        except Exception as error:
            self._line.writing = False
            self._not_written(batch, groups, error)
            raise
        finally:
            self._line.writing = False
        batch.groups = []
        if birth is not None and birth.node != self._node.id:
            # It lost its lease meanwhile; whatever was born is still held under the former id.
            for job_id, token in tokens.items():
                self._node.assign(job_id, token, birth.node)
        busy = {id(group) for group, each in zip(groups, answer.groups, strict=True) if each.busy}
        self._give_room([group for group in groups if id(group) not in busy] if busy else groups)
        for group, each in zip(groups, answer.groups, strict=True):
            if each.busy:
                # It may take long: a slot is not to be kept for it.
                self._drop(group)
                self._line.set_aside(group)
                continue
            self._stored(group.jobs, group.tokens, each, answer.now)
            if group.future.done():
                continue
            if each.refused is None:
                group.future.set_result(each)
            else:
                group.future.set_exception(StoreRefused(each.refused, stored="no", job_id=group.jobs[0].id))

    def _not_written(self, batch: Batch, groups: Sequence[Group], error: Exception) -> None:
        """Keep the groups for the next try, or fail them where no try will help."""
        if isinstance(error, _PASSING):
            self._last_error = error
            for group in groups:
                group.tried = group.tried or error.stored == "unknown"
            self._expire_due()
            return
        batch.groups = []
        for group in groups:
            self._fail(group, error)
        self._give_room(groups)

    def _without_withdrawn(self, batch: Batch) -> list[Group]:
        """Drop the groups whose callers gave up, or were given up, while they waited."""
        gone = [group for group in batch.groups if group.future.done()]
        if gone:
            batch.groups = [group for group in batch.groups if not group.future.done()]
            for group in gone:
                self._drop(group)
            self._give_room(gone)
        return batch.groups

    async def _write_cancellations(self, batch: Batch) -> None:
        while True:
            waiting = [each for each in batch.cancellations if not each.future.done()]
            batch.cancellations = waiting = self._line.without_early(waiting)
            if not waiting:
                return
            reason = waiting[0].reason
            await self._cancel([each for each in waiting if each.reason == reason], reason)
            batch.cancellations = [each for each in waiting if each.reason != reason]

    async def _cancel(self, asked: Sequence[Cancellation], reason: str) -> None:
        self._loop.idle = False
        try:
            ids = tuple(dict.fromkeys(job for each in asked for job in each.open))
            answer = await self._admin.cancel(ids, reason)
        except Exception as error:
            if isinstance(error, _PASSING):
                self._last_error = error
            else:
                for each in asked:
                    _end(each, error)
            raise
        for each in asked:
            if each.future.done():
                continue
            if each.hear(answer).busy:
                self._line.set_cancellation_aside(each)
            else:
                _end(each, None)

    # ---- running out of time: one timer for all ----------------------------------------------------------------

    def _deadline(self) -> float:
        return self._clock.monotonic() + self._write_timeout

    def _watch_deadlines(self, delay: float) -> None:
        if self._expiry is None:
            self._expiry = self._clock.call_later(delay, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        self._expire_due()
        waiting = [group.deadline for group in self._line.groups() if not group.future.done()]
        waiting += [each.deadline for each in self._line.cancellations() if not each.future.done()]
        if waiting or self._line.leaving is not None:
            soonest = min(waiting, default=self._deadline())
            self._watch_deadlines(max(0.0, soonest - self._clock.monotonic()))

    def _expire_due(self) -> None:
        now = self._clock.monotonic()
        for group in self._line.groups():
            if group.deadline <= now and not group.future.done():
                self._fail(group, self._too_late(group))
        for cancellation in self._line.cancellations():
            if cancellation.deadline <= now:
                first = cancellation.ids[0]
                _end(cancellation, self._given_up(f"job {first} may be cancelled yet", "unknown", first))

    def _too_late(self, group: Group) -> StoreError:
        stored: Stored = "unknown" if group.tried else "no"
        first = group.jobs[0].id
        meaning = f"stored: {stored}; create_task(…, id={first!r}) repeats safely"
        if group.busy and self._last_error is None:
            return busy_group(first, stored, f" (waited {self._write_timeout:g} s; {meaning})")
        return self._given_up(meaning, stored, first)

    def _given_up(self, meaning: str, stored: Stored, job_id: str) -> StoreError:
        error = self._last_error
        kind = type(error) if error is not None else StoreBusy
        what = str(error) if error is not None else "more comes in than the store takes"
        return kind(f"{what} (waited {self._write_timeout:g} s; {meaning})", stored=stored, job_id=job_id)

    def _fail(self, group: Group, error: Exception) -> None:
        """Fail one group, with an error of its own."""
        if isinstance(error, StoreError):
            own = type(error)(str(error), stored=error.stored, job_id=error.job_id or group.jobs[0].id)
            own.__cause__ = error.__cause__
            error = own
        _raise_in(group.future, error)
        self._drop(group)

    def _drop(self, group: Group) -> None:
        """Give back what was booked for its births, once."""
        tokens, group.tokens = group.tokens, {}
        self._dropped(group.jobs, tokens)

    def _give_room(self, groups: Sequence[Group]) -> None:
        self._room.give(sum(len(group.jobs) for group in groups), sum(group.size for group in groups))


def _raise_in(future: asyncio.Future[GroupAnswer] | asyncio.Future[CancelAnswer], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _end(cancellation: Cancellation, error: Exception | None) -> None:
    """End a cancellation with what is known of its jobs; with the error where nothing is."""
    if cancellation.future.done():
        return
    if cancellation.answer is not None:
        cancellation.future.set_result(cancellation.answer)
    elif error is not None:
        cancellation.future.set_exception(error)
