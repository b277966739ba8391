"""The storing side: from a call and its options to a durable job and its handle."""

from __future__ import annotations

import asyncio
import inspect
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

from backburner.errors import ArgumentNotStorable, InvalidOption, JobNotFound, NotACall, UnknownKind
from backburner.jobs.definition import Call, Definition, Job, check_priority, check_tags, check_timeout
from backburner.jobs.handle import Final, JobHandle
from backburner.jobs.run import Why
from backburner.model.job import JobState, NewJob
from backburner.model.names import check_name
from backburner.model.times import duration, moment
from backburner.ports.backend import Hint
from backburner.resilience.retry import RetryPolicy, encode, policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

    from backburner.jobs.handles import Handles
    from backburner.jobs.hints import Hints
    from backburner.jobs.intake import Intake
    from backburner.jobs.midwife import Midwife
    from backburner.jobs.registry import Kinds
    from backburner.model.ids import Ids
    from backburner.ports.jobs import GroupAnswer

__all__ = ["Client", "TaskOptions"]

R = TypeVar("R")

_LATEST = sys.maxsize


class TaskOptions(TypedDict, total=False):
    """What `create_task` takes beside the call. Durations are a `timedelta` or seconds; moments are aware."""

    #: The job's id. Storing an id twice stores one job: what makes a repeated `create_task` safe.
    id: str
    #: The job is due after this time, or at this moment; at most one of the two.
    delay: timedelta | float
    at: datetime
    queue: str
    #: 0 (first) to 9 (last).
    priority: int
    #: No run of the job, no retry either, starts later than this time from now, or this moment; it is cancelled then.
    expires: timedelta | float | datetime
    tags: Sequence[str]
    retry: str | RetryPolicy
    #: How long a run may take; None for no limit.
    timeout: timedelta | float | None


class Client:
    """Checks, encodes and stores; every refusal comes before anything is queued."""

    def __init__(
        self,
        handles: Handles,
        hints: Hints,
        kinds: Kinds,
        ids: Ids,
        *,
        midwife: Midwife | None,
        argument_limit: int,
    ) -> None:
        #: Set once, before the start: intake and client know each other.
        self.intake: Intake
        self._handles = handles
        self._hints = hints
        self._kinds = kinds
        self._ids = ids
        self._midwife = midwife
        self._argument_limit = argument_limit

    async def create_task(self, call: Call[R], options: TaskOptions) -> JobHandle[R]:
        """Store one job."""
        job = self._prepare(call, options)
        await self.intake.enqueue((job,), self._book((job,)))
        return cast("JobHandle[R]", self._handles.handle(job.id, call.definition))

    async def create_tasks(self, calls: Iterable[Call[Any]], options: TaskOptions) -> list[JobHandle[Any]]:
        """Store many jobs in one write: all of them or none."""
        if "id" in options:
            raise InvalidOption("create_tasks stores many jobs; one id cannot name them all", option="id")
        if isinstance(calls, Call):
            raise NotACall(
                f"create_tasks takes many calls: create_tasks([{calls.definition.kind}(…), …]); one is for create_task"
            )
        taken = list(calls)
        jobs = [self._prepare(call, options) for call in taken]
        if not jobs:
            return []
        await self.intake.enqueue(jobs, self._book(jobs))
        handle = self._handles.handle
        return [handle(job.id, call.definition) for job, call in zip(jobs, taken, strict=True)]

    def handle(self, job_id: str, job: Job[..., R]) -> JobHandle[R]:
        """Return the handle of a job stored anywhere."""
        if not isinstance(job, Job):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise NotACall(f"handle takes the id and the job it was made from: bb.handle({job_id!r}, send_email)")
        return cast("JobHandle[R]", self._handles.handle(check_name(job_id, "id"), job.definition))

    async def cancel(self, job_id: str) -> bool:
        """Cancel a job, wherever it is; return whether that came in time."""
        answer = await self.intake.cancel((job_id,))
        if job_id in answer.missing:
            raise JobNotFound(f"the store has no job {job_id}", job_id=job_id)
        if job_id in answer.cancelled:
            self._handles.ended(job_id, Final(JobState.CANCELLED, reason="cancelled"))
        if job_id in answer.asked and (self._midwife is None or not self._midwife.end(job_id, Why.CANCEL)):
            self._hints.tell(Hint.CONTROL)
        return job_id not in answer.ended

    def stored(self, jobs: Sequence[NewJob], tokens: Mapping[str, int], answer: GroupAnswer, now: int) -> None:
        """Hear from the intake that a group was written: start the born, expect the others."""
        midwife = self._midwife
        if answer.refused is not None:
            self.dropped(jobs, tokens)
            return
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

    # ---- checks ------------------------------------------------------------------------------------------------

    def _prepare(self, call: Call[Any], options: TaskOptions) -> NewJob:
        if type(call) is not Call:
            raise NotACall(_not_a_call(call))
        definition = call.definition
        if definition not in self._kinds:
            raise UnknownKind(
                f"{definition.kind} ({definition.place}) is not a job of this engine; "
                "decorate it with this engine's job decorator"
            )
        args = definition.signature.encode(call.bound)
        limit = self._argument_limit
        if len(args) * 4 > limit and len(args.encode()) > limit:
            raise ArgumentNotStorable(
                f"{definition.kind}: the arguments take {len(args.encode()):,} bytes, {limit:,} are allowed; "
                "store the data where it belongs and pass its name"
            )
        declared = definition.options
        if not options:
            return NewJob(
                id=self._ids.new(),
                kind=definition.kind,
                queue=declared.queue,
                args=args,
                priority=declared.priority,
                expires_in=declared.expires,
                tags=declared.tags,
            )
        return self._prepare_with(definition, args, options)

    def _prepare_with(self, definition: Definition, args: str, options: TaskOptions) -> NewJob:
        declared = definition.options
        unknown = options.keys() - TaskOptions.__annotations__.keys()
        if unknown:
            raise InvalidOption(
                f"create_task has no option {min(unknown)!r}; it takes {', '.join(TaskOptions.__annotations__)}",
                option=min(unknown),
            )
        if "delay" in options and "at" in options:
            raise InvalidOption("delay and at say the same thing twice; give one", option="at")
        expires_in, expires_at = _expiry(options["expires"]) if "expires" in options else (declared.expires, None)
        return NewJob(
            id=check_name(options["id"], "id") if "id" in options else self._ids.new(),
            kind=definition.kind,
            queue=check_name(options["queue"], "queue") if "queue" in options else declared.queue,
            args=args,
            priority=check_priority(options["priority"]) if "priority" in options else declared.priority,
            delay=duration(options["delay"], "delay") if "delay" in options else 0,
            at=moment(options["at"], "at") if "at" in options else None,
            expires_in=expires_in,
            expires_at=expires_at,
            timeout=check_timeout(options["timeout"]) if "timeout" in options else None,
            retry=encode(policy(options["retry"])) if "retry" in options else None,
            tags=(*declared.tags, *check_tags(options["tags"])) if "tags" in options else declared.tags,
        )


def _expiry(given: timedelta | float | datetime) -> tuple[int | None, int | None]:
    """Return what was given as a duration from storing, or as a moment."""
    if isinstance(given, datetime):
        return None, moment(given, "expires")
    return duration(given, "expires"), None


def _not_a_call(value: object) -> str:
    if inspect.iscoroutine(value):
        value.close()  # it will never be awaited, and that is what this error says
        name = value.__name__
        return (
            f"create_task got a coroutine of {name}(); it cannot be stored; "
            f"decorate {name} with @bb.job and pass {name}(…)"
        )
    if isinstance(value, Job):
        return f"create_task got the job {value.kind} itself; call it: {value.kind}(…)"
    if isinstance(value, asyncio.Future):
        return (
            "create_task got a task that runs already; it cannot be stored; pass a call of a job, such as send_email(…)"
        )
    if callable(value):
        name = getattr(value, "__name__", "it")
        return f"create_task got the function {name}; decorate it with @bb.job and pass {name}(…)"
    return f"create_task takes a call of a job, such as send_email(…), not {type(value).__name__}"
