"""The storing side: from calls to durable jobs and their handles."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from backburner.errors import InvalidOption, JobNotFound, NotACall, StoreBusy, StoreRefused
from backburner.jobs.batch import busy_group
from backburner.jobs.call import Call, take
from backburner.jobs.commits import Commits
from backburner.jobs.context import current_run
from backburner.jobs.handle import JobHandle
from backburner.jobs.job import Job
from backburner.jobs.run import Why
from backburner.jobs.vigil import Final
from backburner.model.job import CANCELLED, GROUP_CANCELLED, JobState
from backburner.model.names import check_name
from backburner.ports.backend import Hint
from backburner.ports.jobs import GroupAnswer

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Mapping, Sequence

    from backburner.jobs.handles import Handles
    from backburner.jobs.hints import Hints
    from backburner.jobs.intake import Intake
    from backburner.jobs.joined import Joined
    from backburner.jobs.kit import Kit
    from backburner.jobs.midwife import Midwife
    from backburner.jobs.options import BatchOptions, TaskOptions
    from backburner.jobs.order import Orders
    from backburner.jobs.run import Run
    from backburner.model.job import NewJob
    from backburner.ports.backend import Backend
    from backburner.ports.jobs import CancelAnswer

__all__ = ["Client", "Stored"]

R = TypeVar("R")
T = TypeVar("T")

_LATEST = sys.maxsize
#: Jobs in one cancellation.
_CANCEL = 1_000


class Stored(NamedTuple):
    """What became of one job that was to be stored."""

    #: The job's id, or that of the one which holds its unique key.
    id: str
    #: Nothing was stored for it: it was there already.
    existed: bool


class Client:
    """Stores, cancels, and answers handles."""

    def __init__(
        self,
        backend: Backend,
        orders: Orders,
        joined: Joined,
        handles: Handles,
        *,
        hints: Hints,
        midwife: Midwife | None,
        kit: Kit,
    ) -> None:
        #: Set once, before the start: intake and client know each other.
        self.intake: Intake
        self.handles = handles
        self.orders = orders
        self._jobs = backend.jobs
        self._transactions = backend.transactions
        self._joined = joined
        self._hints = hints
        self._midwife = midwife
        self._hooks = kit.hooks
        self.commits = Commits(joined, self._committed, kit)

    def create_task(self, call: Call[R], options: TaskOptions) -> Coroutine[Any, Any, JobHandle[R]]:
        """Store one job."""
        if self._hooks.storing:
            return self._surrounded(1, self._create_task(call, options))
        return self._create_task(call, options)

    def create_tasks(
        self, calls: Iterable[Call[Any]], options: BatchOptions
    ) -> Coroutine[Any, Any, list[JobHandle[Any]]]:
        """Store many jobs in one write: all of them or none."""
        if self._hooks.storing:
            taken = calls if isinstance(calls, Call) or not isinstance(calls, Iterable) else list(calls)  # pyright: ignore[reportUnnecessaryIsInstance]
            count = len(taken) if isinstance(taken, list) else 1
            return self._surrounded(count, self._create_tasks(taken, options))
        return self._create_tasks(calls, options)

    async def _create_task(self, call: Call[R], options: TaskOptions) -> JobHandle[R]:
        tx = options.get("tx") if options else None
        if self._joined.open and tx is None:
            take(call)
            self._joined.refuse_write()
        current = current_run.get(None)
        job = self.orders.prepare(call, options, None if current is None else current.stored)
        jobs = (job,)
        if tx is None:
            answer = await self.intake.enqueue(jobs, self._book(jobs))
        else:
            answer = await self._store_in(tx, jobs)
        if answer.holders or answer.duplicates:
            ((job_id, existed),) = _stored(jobs, answer)
            return JobHandle(self.handles.vigil(job_id, call.definition), existed=existed)
        return JobHandle(self.handles.vigil(job.id, call.definition))

    async def _create_tasks(self, calls: Iterable[Call[Any]], options: BatchOptions) -> list[JobHandle[Any]]:
        if isinstance(calls, Call):
            calls.used = True
            raise NotACall(
                f"create_tasks takes many calls: create_tasks([{calls.definition.kind}(…), …]); one is for create_task"
            )
        for option in ("id", "name"):
            if option in options:
                take(calls)
                raise InvalidOption(f"create_tasks stores many jobs; one {option} cannot name them all", option=option)
        if not isinstance(calls, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise NotACall(
                f"create_tasks takes many calls, not {type(calls).__name__}: create_tasks([send_email(…), …])"
            )
        taken = list(calls)
        parent = self.parent()
        each = cast("TaskOptions", options)
        try:
            carried = self.orders.carry()
            jobs = [self.orders.prepare(call, each, parent, carried=carried) for call in taken]
        except BaseException:
            take(taken)
            raise
        answer = await self._store(jobs, options.get("tx"))
        vigil = self.handles.vigil
        if answer.holders or answer.duplicates:
            return [
                JobHandle(vigil(job_id, call.definition), existed=existed)
                for (job_id, existed), call in zip(_stored(jobs, answer), taken, strict=True)
            ]
        return [JobHandle(vigil(job.id, call.definition)) for job, call in zip(jobs, taken, strict=True)]

    async def store(self, jobs: Sequence[NewJob], tx: object = None) -> list[Stored]:
        """Store jobs in one write, all of them or none; in order, what became of each."""
        if self._hooks.storing and jobs:
            return _stored(jobs, await self._surrounded(len(jobs), self._store(jobs, tx)))
        return _stored(jobs, await self._store(jobs, tx))

    async def _surrounded(self, calls: int, storing: Coroutine[Any, Any, T]) -> T:
        with self._hooks.around_storing(calls):
            return await storing

    async def _store(self, jobs: Sequence[NewJob], tx: object) -> GroupAnswer:
        if not jobs:
            return GroupAnswer()
        if tx is not None:
            return await self._store_in(tx, jobs)
        if self._joined.open:
            self._joined.refuse_write()
        return await self.intake.enqueue(jobs, self._book(jobs))

    def handle(self, job_id: str, job: Job[..., R]) -> JobHandle[R]:
        """Return the handle of a job stored anywhere."""
        if not isinstance(job, Job):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise NotACall(f"handle takes the id and the job it was made from: bb.handle({job_id!r}, send_email)")
        return JobHandle(self.handles.vigil(check_name(job_id, "id"), job.definition))

    def parent(self) -> Run | None:
        """Return the run whose child a job is that is stored here and now."""
        current = current_run.get(None)
        return None if current is None else current.stored

    async def cancel(self, job_id: str) -> bool:
        """Cancel a job, wherever it is; return whether that came in time."""
        if self._joined.open:
            self._joined.refuse_write()
        answer = await self._cancel((job_id,), CANCELLED)
        _refuse_locked(answer.busy)
        if job_id in answer.missing:
            raise JobNotFound(
                f"the store has no job {job_id}: it never had, or its retention has passed", job_id=job_id
            )
        return job_id not in answer.ended

    async def cancel_group(self, ids: Sequence[str]) -> set[str]:
        """Cancel the children of a group that failed, those that have not ended; return which run and were asked to.

        Raises `StoreBusy` once the others are cancelled, if some stay locked.
        """
        return await self.cancel_all(ids, GROUP_CANCELLED)

    async def cancel_all(self, ids: Sequence[str], reason: str) -> set[str]:
        """Cancel those of many jobs that have not ended; the rest as `cancel_group`."""
        asked: set[str] = set()
        locked: list[str] = []
        for start in range(0, len(ids), _CANCEL):
            answer = await self._cancel(ids[start : start + _CANCEL], reason)
            asked.update(answer.asked)
            locked += answer.busy
        _refuse_locked(locked)
        return asked

    async def _cancel(self, ids: Sequence[str], reason: str) -> CancelAnswer:
        answer = await self.intake.cancel(ids, reason)
        asked, cancelled = set(answer.asked), set(answer.cancelled)
        elsewhere = False
        for job_id in ids:
            if job_id in cancelled:
                self.handles.ended(job_id, Final(JobState.CANCELLED, reason=reason))
            elif job_id in asked:
                elsewhere |= self._midwife is None or not self._midwife.end(job_id, Why.CANCEL)
        if elsewhere:
            self._hints.tell(Hint.CONTROL)
        if cancelled:
            # A unique key that one of them held may have let a follow-up into the line.
            self._hints.tell(Hint.JOBS, here=True)
        return answer

    # ---- what the intake tells ---------------------------------------------------------------------------------

    def stored(self, jobs: Sequence[NewJob], tokens: Mapping[str, int], answer: GroupAnswer, now: int) -> None:
        """Hear from the intake that a group was written: start the born, expect the others."""
        midwife = self._midwife
        if answer.refused is not None:
            self.dropped(jobs, tokens)
            return
        if self._hooks.stored:
            self._tell(jobs, answer)
        born = answer.born
        if midwife is not None:
            soonest: dict[str, int] = {}
            for job in jobs:
                if job.id in tokens:
                    if job.id in born:
                        midwife.born(job, tokens[job.id], now)
                        continue
                    midwife.unbook(job)
                delay = job.delay if job.at is None else job.at - now
                if delay < soonest.get(job.queue, _LATEST):
                    soonest[job.queue] = delay
            for queue, delay in soonest.items():
                midwife.expect(queue, delay)
        if len(born) < len(jobs):
            self._hints.tell(Hint.JOBS)
        else:
            self._hints.wrote()

    def _tell(self, jobs: Sequence[NewJob], answer: GroupAnswer) -> None:
        """Let those who watch know which jobs of a group are new; in a caller's transaction, which may yet be rolled back."""
        known = answer.holders.keys() | set(answer.duplicates)
        new = [job for job in jobs if job.id not in known] if known else jobs
        if new:
            for stored in self._hooks.stored:
                stored(new)

    def dropped(self, jobs: Sequence[NewJob], tokens: Mapping[str, int]) -> None:
        """Hear from the intake that a group was not written."""
        if tokens and self._midwife is not None:
            for job in jobs:
                if job.id in tokens:
                    self._midwife.unbook(job)

    def _book(self, jobs: Sequence[NewJob]) -> dict[str, int]:
        midwife = self._midwife
        if midwife is None:
            return {}
        tokens: dict[str, int] = {}
        for job in jobs:
            token = midwife.book(job)
            if token:
                tokens[job.id] = token
            elif len(jobs) > 1:
                break  # no room, or a job that waits: those behind it in the group are not to overtake it
        return tokens

    # ---- a caller's own transaction ----------------------------------------------------------------------------

    async def _store_in(self, tx: object, jobs: Sequence[NewJob]) -> GroupAnswer:
        """Store jobs in a transaction of the caller's; nobody is told before that is over, since nobody sees them."""
        self._transactions.is_open(tx)
        (answer,) = (await self._jobs.enqueue((jobs,), None, tx)).groups
        if answer.refused is not None:
            raise StoreRefused(answer.refused, stored="no", job_id=jobs[0].id)
        if answer.busy:
            raise busy_group(jobs[0].id, "no", ": nothing was stored, and your transaction stays usable")
        if self._hooks.stored:
            self._tell(jobs, answer)
        stored = [job for job, (_, existed) in zip(jobs, _stored(jobs, answer), strict=True) if not existed]
        self._joined.join(tx, [job.id for job in stored])
        if stored:
            self.commits.watch(tx, {job.queue for job in stored})
        return answer

    def _committed(self, queues: Collection[str]) -> None:
        """Look for the jobs of a transaction that is over, here and elsewhere."""
        if self._midwife is not None:
            for queue in queues:
                self._midwife.expect(queue, 0)
        self._hints.tell(Hint.JOBS)


def _stored(jobs: Sequence[NewJob], answer: GroupAnswer) -> list[Stored]:
    known = frozenset(answer.duplicates)
    return [Stored(answer.holders.get(job.id, job.id), job.id in answer.holders or job.id in known) for job in jobs]


def _refuse_locked(ids: Sequence[str]) -> None:
    if ids:
        raise StoreBusy(
            f"job {ids[0]} is locked in somebody's open transaction, and may be cancelled yet: end that, then cancel again",
            stored="unknown",
            job_id=ids[0],
        )
