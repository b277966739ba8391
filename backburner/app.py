"""`Backburner`: the engine as its users see it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from msgspec import UNSET, UnsetType

from backburner import config
from backburner.engine import Engine
from backburner.errors import AlreadyRunning, NotRunning
from backburner.jobs.definition import Job, define
from backburner.jobs.kit import Kit
from backburner.jobs.registry import Kinds
from backburner.model.clock import SystemClock
from backburner.observability.logs import LogListener, guarded
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
    from datetime import timedelta
    from types import TracebackType
    from typing import ParamSpec, Unpack

    from backburner.jobs.client import TaskOptions
    from backburner.jobs.definition import Call, Decorator
    from backburner.jobs.handle import JobHandle
    from backburner.jobs.queues import Queues
    from backburner.model.clock import Clock
    from backburner.ports.telemetry import Listener
    from backburner.resilience.retry import RetryPolicy

    P = ParamSpec("P")

__all__ = ["Backburner"]

R = TypeVar("R")


class Backburner:
    """An engine of durable jobs in your own process.

    ``url`` says where jobs are stored: ``sqlite:///jobs.db`` or ``memory://``; without it the variable
    ``BACKBURNER_URL``, else ``sqlite:///backburner.db`` in the working directory. ``queues`` is slots by queue on this
    node, ``slots`` the most of them all. With ``run=False`` it only stores. ``retry``, ``timeout`` are for jobs that
    name none. ``grace`` is how long runs may go on after the engine was told to stop. ``keep`` is how long ended jobs
    are kept, by state. Durations are a `timedelta` or seconds. Every option named here has a variable ``BACKBURNER_…``
    that an operator may set instead; what is given here wins.

    Enter it in your app's lifespan (``async with bb:``); it may be entered again afterwards, on another loop too.
    Constructing it starts nothing and opens nothing. Raises `InvalidOption`, `InvalidSetting` or `InvalidUrl`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        queues: Mapping[str, int] | None = None,
        slots: int | None = None,
        run: bool | None = None,
        retry: str | RetryPolicy | None = None,
        timeout: timedelta | float | UnsetType | None = UNSET,
        threads: int | None = None,
        lease: timedelta | float | None = None,
        grace: timedelta | float | None = None,
        keep: Mapping[str, timedelta | float | None] | None = None,
        write_timeout: timedelta | float | None = None,
        stall_limit: timedelta | float | None = None,
        migrate: bool | None = None,
        clock: Clock | None = None,
        listener: Listener | None = None,
    ) -> None:
        self._settings = config.load(
            url=url,
            queues=queues,
            slots=slots,
            run=run,
            retry=retry,
            timeout=timeout,
            threads=threads,
            lease=lease,
            grace=grace,
            keep=keep,
            write_timeout=write_timeout,
            stall_limit=stall_limit,
            migrate=migrate,
        )
        self._kinds = Kinds()
        self._kit = Kit(clock or SystemClock(), guarded(listener or LogListener()), Random())  # noqa: S311 - jitter
        self._engine: Engine | None = None

    # ---- declaring ---------------------------------------------------------------------------------------------

    @overload
    def job(self, fn: Callable[P, Awaitable[R]], /) -> Job[P, R]: ...
    @overload
    def job(self, fn: Callable[P, R], /) -> Job[P, R]: ...
    @overload
    def job(
        self,
        *,
        name: str | None = ...,
        queue: str = ...,
        priority: int = ...,
        retry: str | RetryPolicy | None = ...,
        timeout: timedelta | float | UnsetType | None = ...,
        expires: timedelta | float | None = ...,
        tags: Sequence[str] = ...,
        executor: str | None = ...,
    ) -> Decorator: ...
    def job(
        self,
        fn: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        queue: str = "default",
        priority: int = 5,
        retry: str | RetryPolicy | None = None,
        timeout: timedelta | float | UnsetType | None = UNSET,
        expires: timedelta | float | None = None,
        tags: Sequence[str] = (),
        executor: str | None = None,
    ) -> Any:
        """Declare a function as a job, as ``@bb.job`` or ``@bb.job(queue="mail", …)``.

        ``name`` is the kind under which it is stored, the function's own name by default: to rename the function, keep
        the name. ``queue``, ``priority`` (0 first, 9 last), ``expires`` and ``tags`` are for calls that say nothing
        else; ``retry`` and ``timeout`` (None: no limit) in place of the engine's. An async function runs on the loop, a
        `def` in a thread. Raises `NotAJob`, `DuplicateKind` or `InvalidOption`.
        """

        def declare(function: Callable[..., Any]) -> Job[..., Any]:
            definition = define(
                function,
                name=name,
                queue=queue,
                priority=priority,
                retry=retry,
                timeout=timeout,
                expires=expires,
                tags=tags,
                executor=executor,
            )
            self._kinds.add(definition)
            return Job(definition, function)

        return declare if fn is None else declare(fn)

    # ---- life --------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Start: open the store, bring its schema up to date, take work unless ``run`` is off."""
        await self._start(self._settings)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Stop: what runs may finish within the grace, then it is interrupted and given back; no attempt is lost."""
        await self._stop()

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncGenerator[None]:  # noqa: ARG002 - what a framework passes
        """Run within an app's life: ``FastAPI(lifespan=bb.lifespan)``."""
        async with self:
            yield

    @asynccontextmanager
    async def worker(self, queues: Mapping[str, int] | Collection[str] | None = None) -> AsyncGenerator[Self]:
        """Run as a worker, whatever ``run`` says: these queues (with slots, or those declared), or all declared."""
        await self._start(self._settings.as_worker(queues))
        try:
            yield self
        finally:
            await self._stop()

    @property
    def running(self) -> bool:
        """Whether it was entered."""
        return self._engine is not None

    def hurry(self) -> None:
        """Cut the grace of a stop that is under way short: what still runs is interrupted now, and given back."""
        if self._engine is not None:
            self._engine.hurry()

    # ---- storing -----------------------------------------------------------------------------------------------

    async def create_task(self, call: Call[R], **options: Unpack[TaskOptions]) -> JobHandle[R]:
        """Store a call as a job; when this returns, the job is durable.

        Options are those of `TaskOptions`. Everything wrong with the call is refused before anything is written, by a
        `CallRefused`. Raises `StoreBusy` or `StoreUnavailable` when the store takes longer than ``write_timeout``; both
        say whether the job may have been stored, and ``create_task(call, id=…)`` with the id they name repeats safely.
        Cancelled while it waits for its turn, nothing is stored; cancelled later, the job may exist.
        """
        return await self._running().client.create_task(call, options)

    async def create_tasks(self, calls: Iterable[Call[Any]], **options: Unpack[TaskOptions]) -> list[JobHandle[Any]]:
        """Store many calls in one write: all of them or none; ``options`` hold for each. Handles come in order."""
        return await self._running().client.create_tasks(calls, options)

    def handle(self, job_id: str, job: Job[..., R]) -> JobHandle[R]:
        """Return the handle of a job stored anywhere: ``await bb.handle(job_id, send_email)``."""
        return self._running().client.handle(job_id, job)

    @property
    def queues(self) -> Queues:
        """Pauses and limits."""
        return self._running().queues

    # ---- parts -------------------------------------------------------------------------------------------------

    def _running(self) -> Engine:
        if self._engine is None:
            raise NotRunning
        return self._engine

    async def _start(self, settings: config.Settings) -> None:
        if self._engine is not None:
            raise AlreadyRunning
        engine = self._engine = Engine(settings, self._kinds, self._kit)
        try:
            await engine.start()
        except BaseException:
            await self._end(engine)
            raise

    async def _stop(self) -> None:
        await self._end(self._running())

    async def _end(self, engine: Engine) -> None:
        try:
            # Whoever cancels the app must not lose what runs in it: the grace bounds this.
            await to_the_end(engine.stop())
        finally:
            self._engine = None
