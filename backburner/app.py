"""`Backburner`: the engine as its users see it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any, Generic, Self, TypedDict, TypeVar, cast, overload

from backburner import config
from backburner.engine import Engine, Extras
from backburner.errors import AlreadyRunning, BackburnerError, InvalidOption, NotRunning, UnknownKind
from backburner.events.listening import Listening
from backburner.events.naming import check_patterns
from backburner.events.subscribers import Subscribers
from backburner.handling import Handling, Sinks, told_of
from backburner.jobs.blocking import Blocking
from backburner.jobs.call import take
from backburner.jobs.group import TaskGroup
from backburner.jobs.job import Job
from backburner.jobs.kit import Kit
from backburner.jobs.process_loading import refuse_in_child
from backburner.jobs.registry import Kinds, check_registries
from backburner.model.clock import SECOND, SystemClock
from backburner.observability.alerts.counts import Counts
from backburner.observability.alerts.rule import Rules, make_rule
from backburner.observability.correlation import Correlation, uncorrelated
from backburner.observability.health import Health
from backburner.observability.hearing import guard, guarded
from backburner.observability.logs import LogListener
from backburner.observability.vitals import Vitals
from backburner.periodic import Periodic
from backburner.ports.telemetry import Hooks, Telemetry
from backburner.registry import Registry
from backburner.scheduler.declared import Declarations
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Generator, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime, timedelta
    from types import TracebackType
    from typing import Unpack

    from msgspec import UnsetType

    from backburner.dlq.face import DeadLetters
    from backburner.events.event import Event
    from backburner.events.sinks.sink import Sink
    from backburner.events.subscribers import Subscriber
    from backburner.jobs.breakers import Breakers
    from backburner.jobs.call import Call
    from backburner.jobs.client import Client
    from backburner.jobs.definition import Definition
    from backburner.jobs.executor import Around
    from backburner.jobs.handle import JobHandle
    from backburner.jobs.limits import Limits
    from backburner.jobs.options import BatchOptions, TaskOptions
    from backburner.jobs.queues import KindPauses, Queues
    from backburner.jobs.reasons import Reason
    from backburner.jobs.store_thread import Storing
    from backburner.model.clock import Clock
    from backburner.observability.sampling import Sample
    from backburner.ports.telemetry import Listener
    from backburner.resilience.lock import Lock
    from backburner.resilience.retry import RetryPolicy
    from backburner.scheduler.declared import Declaration
    from backburner.scheduler.face import SchedulesFace
    from backburner.testing.kit import Mode, Testing
    from backburner.testing.lives import Parts
    from backburner.testing.stage import Stage

__all__ = ["Backburner", "Given", "Options"]

#: Seconds that a loop may be silent beyond the time of a write before a blocked thread is told.
_MARGIN = 5.0

R = TypeVar("R")
T = TypeVar("T")

if TYPE_CHECKING:
    # Checkers know it without the package; at run time Python has defaults from 3.13 on.
    from typing_extensions import TypeVar as DefaultTypeVar

    S = DefaultTypeVar("S", default=None)
else:
    S = TypeVar("S")


class Options(TypedDict, total=False):
    """What `Backburner` takes beside its store and its resources. Durations are a `timedelta` or seconds.

    Most have a variable ``BACKBURNER_…`` that an operator may set instead; what is given here wins.
    """

    jobs: Sequence[Registry]
    """Jobs that were declared in modules which know no engine."""
    queues: Mapping[str, int] | None
    """Slots by queue on this node."""
    slots: int | None
    """Slots over all its queues."""
    run: bool | None
    """False: only store."""
    retry: str | RetryPolicy | None
    """For jobs that name none."""
    timeout: timedelta | float | UnsetType | None
    """For jobs that name none; None is no limit."""
    threads: int | None
    """The most threads for `def` jobs."""
    processes: int | None
    """The most processes for ``executor="process"``."""
    around: Sequence[Around]
    """Wraps every run: ``async def traced(ctx, run): with span(ctx.kind): await run()``. The first is the outermost.

    What one raises ends the run; what it returns is not looked at. One that returns without awaiting ``run()`` fails it.
    """
    headers: Callable[[], Mapping[str, str]] | None
    """Called where a job is stored; what it answers travels with the job and its children (`JobContext.headers`)."""
    lease: timedelta | float | None
    """How long a node that is not heard of holds its jobs; it beats three times as often."""
    grace: timedelta | float | None
    """How long runs may go on after the engine was told to stop."""
    keep: Mapping[str, timedelta | float | None] | None
    """How long ended jobs are kept, by state; under ``ticks``, what schedules did."""
    tz: str | None
    """The time zone of schedules that name none: UTC."""
    secrets: Collection[str] | None
    """What is masked beside what is annotated `Secret`: fields by name, ``"password"``, or by path, ``"card.number"``."""
    write_timeout: timedelta | float | None
    """How long a caller waits for the store to take a write."""
    stall_limit: timedelta | float | None
    """A loop that is silent for so long loses its jobs to other nodes."""
    migrate: bool | None
    """Install an empty store at the start, and bring an older schema up to date.

    Older ones of PostgreSQL are an operator's to upgrade all the same: ``backburner db upgrade``.
    """
    clock: Clock | None
    """Where time comes from: a fake one in tests."""
    listener: Listener | None
    """Who hears what the engine tells; by default the log."""


class Given(TypedDict, total=False):
    """What a test may give an app in place of its own."""

    state: object
    """What jobs find as `Backburner.state`; the app's ``lifespan=`` is not opened."""


class Backburner(Periodic, Handling, Generic[S]):
    """An engine of durable jobs in your own process.

    ``url`` says where jobs are stored: ``sqlite:///jobs.db``, ``postgresql://…``, ``redis://…`` (also a cluster, or by
    sentinels) or ``memory://``; without it the variable ``BACKBURNER_URL``, else ``sqlite:///backburner.db`` in the
    working directory. ``lifespan`` makes an async context manager of what jobs need: it is opened before any runs, in
    web apps and workers alike, closed after the last, and what it yields is `state`. Should it fail to open, the engine
    does not start and raises `ResourceFailed`. All else is in `Options`.

    Enter it in your app's lifespan (``async with bb:``); it may be entered again afterwards, on another loop too.
    Constructing it starts nothing and opens nothing. Raises `InvalidOption`, `InvalidSetting`, `InvalidUrl` or
    `DuplicateKind`.
    """

    @overload
    def __init__(
        self: Backburner[None], url: str | None = ..., *, lifespan: None = ..., **options: Unpack[Options]
    ) -> None: ...
    @overload
    def __init__(
        self,
        url: str | None = ...,
        *,
        lifespan: Callable[[], AbstractAsyncContextManager[S]],
        **options: Unpack[Options],
    ) -> None: ...
    def __init__(
        self,
        url: str | None = None,
        *,
        lifespan: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
        **options: Unpack[Options],
    ) -> None:
        jobs = check_registries(options.pop("jobs", ()))
        self._declarations = Declarations()
        self._subscribers = Subscribers()
        self._sinks = Sinks(self)
        self._alerts, self._counts = Rules(), Counts()
        clock = options.pop("clock", None) or SystemClock()
        self._listening = Listening(clock)
        self._extras = Extras(
            declarations=self._declarations,
            subscribers=self._subscribers,
            alerts=self._alerts,
            counts=self._counts,
            listening=self._listening,
            sinks=self._sinks_used,
            lifespan=_callable(lifespan, "lifespan"),
            around=_wrappers(options.pop("around", ())),
            headers=_callable(options.pop("headers", None), "headers"),
        )
        unknown = options.keys() - Options.__annotations__.keys()
        if unknown:
            known = ", ".join(("url", "lifespan", *Options.__annotations__))
            raise InvalidOption(f"Backburner has no option {min(unknown)!r}; it takes {known}", option=min(unknown))
        self._listener = options.pop("listener", None) or LogListener()
        self._settings = config.load(**cast("config.Options", {"url": url, **options}))
        self._kinds = Kinds(self._settings.secrets)
        hooks = Hooks()
        hooks.add(Correlation())
        self._telemetries: list[Telemetry] = []
        self._kit = Kit(clock, guarded(self._listener, hooks), Random(), hooks)  # noqa: S311 - jitter
        self._own_kit = self._kit
        self._engine: Engine | None = None
        #: While the app is tested: what it runs on instead.
        self._stage: Stage | None = None
        self._health = Health(
            self.vitals,
            self._ping,
            lease=self._settings.lease / SECOND,
            stall_limit=self._settings.stall_limit / SECOND,
            clock=clock,
        )
        #: What has been told of the store, by any engine of this app: a script's is opened again and again.
        self._told: set[str] = set()
        self._blocking = Blocking(
            self._storing, self._only_storing, clock=clock, patience=self._settings.write_timeout / SECOND + _MARGIN
        )
        for registry in jobs:
            registry.attach(self._kinds)
            if isinstance(registry, Registry):
                registry.attach_schedules(self._declarations)
                registry.attach_handlers(self._subscribers)
        self._registries = jobs

    def _schedule(self, declaration: Declaration) -> None:
        self._declarations.add(declaration)

    def _declare(self, definition: Definition) -> None:
        self._kinds.add(definition)

    def _subscribe(self, subscriber: Subscriber) -> None:
        self._check_handler(subscriber)
        self._subscribers.add(subscriber)

    def _check_handler(self, subscriber: Subscriber) -> None:
        # It would be found out at the first event, which no job could be made of then.
        if subscriber.kind not in self._kinds.definitions:
            raise UnknownKind(
                f"{subscriber.kind} ({subscriber.place}) is not a job of this engine; decorate it with this engine's "
                "decorators, or give the engine its Registry"
            )

    def _sending(self, sink: Sink) -> Job[[Event], None]:
        return self._sinks.job(sink)

    @asynccontextmanager
    async def _sinks_used(self) -> AsyncGenerator[None]:
        registries = [registry.sinks for registry in self._registries if isinstance(registry, Registry)]
        async with AsyncExitStack() as stack:
            for sinks in (self._sinks, *registries):
                await stack.enter_async_context(sinks.used())
            yield

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
        return self._here is not None

    @property
    def ready(self) -> bool:
        """Whether it has started and takes work: what a readiness probe asks.

        False from a drain on, and while the store is known to be out of reach; that passes by itself.
        """
        engine = self._here
        return engine is not None and engine.ready

    @property
    def state(self) -> S:
        """What ``lifespan=`` yielded; raises `NotRunning`."""
        self._running()
        return self._kinds.home.state  # type: ignore[return-value]  # the lifespan of this very engine made it

    async def drain(self) -> None:
        """Take no more work, turn `ready` off, and return when nothing runs here; what is stored is left for others.

        For a preStop hook: then the engine may be left, and nothing has to be interrupted. Storing goes on.
        """
        await self._running().drain()

    def hurry(self) -> None:
        """Cut the grace of a stop that is under way short: what still runs is interrupted now, and given back."""
        if self._here is not None:
            self._here.hurry()

    # ---- storing -----------------------------------------------------------------------------------------------

    async def create_task(self, call: Call[R], **options: Unpack[TaskOptions]) -> JobHandle[R]:
        """Store a call as a job; when this returns, the job is durable.

        Options are those of `TaskOptions`. Inside a job it is a child: stored once, however often its parent runs. With
        ``tx=``, your own connection to the same store in a transaction, it is stored in that. A job that exists already,
        by its id or its unique key, is answered by its handle, ``existed`` set.

        Everything wrong with the call is refused before anything is written, by a `CallRefused`. Raises `StoreBusy` or
        `StoreUnavailable` when the store takes longer than ``write_timeout``; both say whether the job may have been
        stored, and ``create_task(call, id=…)`` with the id they name repeats safely. Cancelled while it waits for its
        turn, nothing is stored; cancelled later, the job may exist.
        """
        handle = await self._client_for(call).create_task(call, options)
        if self._stage is not None:
            await self._stage.stored()
        return handle

    @overload
    async def create_tasks(self, calls: Iterable[Call[R]], **options: Unpack[BatchOptions]) -> list[JobHandle[R]]: ...
    @overload
    async def create_tasks(
        self, calls: Iterable[Call[Any]], **options: Unpack[BatchOptions]
    ) -> list[JobHandle[Any]]: ...
    async def create_tasks(self, calls: Iterable[Call[Any]], **options: Unpack[BatchOptions]) -> list[JobHandle[Any]]:
        """Store many calls in one write: all of them or none; ``options`` hold for each. Handles come in order."""
        handles = await self._client_for(calls).create_tasks(calls, options)
        if self._stage is not None:
            await self._stage.stored()
        return handles

    def TaskGroup(self, *, tx: object = None) -> TaskGroup:  # noqa: N802 - as asyncio has it
        """Return a group: ``async with bb.TaskGroup() as group``, then ``group.create_task(…)``."""
        return TaskGroup(self._running().client, tx=tx)

    @property
    def blocking(self) -> Blocking:
        """The way in for code that cannot await: threads, and processes without a loop."""
        return self._blocking

    def handle(self, job_id: str, job: Job[..., R]) -> JobHandle[R]:
        """Return the handle of a job stored anywhere: ``await bb.handle(job_id, send_email)``."""
        return self._running().client.handle(job_id, job)

    async def why(self, job_id: str) -> tuple[Reason, ...]:
        """Return what a job waits for, and until when; raises `JobNotFound`."""
        return await self._running().explainer.why(job_id)

    @property
    def dlq(self) -> DeadLetters:
        """Dead letters: find, group, replay, delete and carry them."""
        return self._running().dlq

    @property
    def schedules(self) -> SchedulesFace:
        """Schedules: put, pause, trigger, foresee and read them, those in code too."""
        return self._running().schedules

    # ---- events ------------------------------------------------------------------------------------------------

    async def publish(
        self,
        name: str,
        data: object = None,
        *,
        subject: str = "",
        id: str | None = None,
        tx: object = None,
    ) -> str:
        """Publish an event, as ``await bb.publish("order.paid", {"total": 12}, subject="order/42")``; return its id.

        It is stored if a handler (`on`), a reader (`events`) or anybody else's subscription asks for its name, else it costs
        no write. ``data`` is an object of what JSON gives back equal, at most 64 KiB. Events of one ``subject`` keep
        their order. The second of one ``id`` is not stored, so a publisher that may have been interrupted repeats
        safely; a job that runs again publishes again, unless it gives one, such as its own. With ``tx``, your own
        connection to the same store in a transaction, the event is that transaction's: rolled back, it never was.

        Raises `InvalidEvent`, `InvalidOption`, `TransactionRefused`, `StoreError`, and `NotRunning` on another loop than the
        engine's too.
        """
        engine = self._running()
        if engine.loop is not asyncio.get_running_loop():
            raise NotRunning(
                "the engine runs on another event loop than this: publish there, from a thread by "
                "asyncio.run_coroutine_threadsafe(bb.publish(…), loop)"
            )
        event_id = await engine.publish(name, data, subject=subject, event_id=id, tx=tx)
        if self._stage is not None:
            await self._stage.stored()
        return event_id

    def events(
        self,
        *names: str,
        after: str | None = None,
        subject: str | None = None,
        subscription: str | None = None,
    ) -> AsyncGenerator[Event]:
        """Read events as they come: ``async for event in bb.events("job.*", subscription="billing")``.

        Names as in `on`; none are all. Under the name of a ``subscription`` events are kept while nobody reads, for as long
        as events are kept, and reading goes on where the last reader of that name stopped, in whichever process: an
        event counts as done once the next is asked for, and that is written once a second, so the last ones, a hundred
        at most, may come again. Without a name events are kept from the first `anext` to the end of the loop. ``after`` is
        an `Event.cursor` to go on after instead; ``subject`` leaves out all others.

        Raises `UnknownEvent`, and while reading `InvalidCursor`, `EventsGone` when it was too slow, `StoreError`, and
        `NotRunning` once the engine stops, or on another loop than the engine's.
        """
        patterns = check_patterns(names)
        return self._running().events(patterns, subject=subject, subscription=subscription, after=after)

    def listen(self, *names: str) -> Callable[[Callable[[Event], T]], Callable[[Event], T]]:
        """Have a function called on the loop, in this process, as things happen: ``@bb.listen("job.dead", "breaker.*")``.

        For nothing: no store is asked and nothing is kept. It hears what this process does alone (jobs that it stores, takes
        and ends, its signals, and what it publishes outside of transactions), and must not block; what it raises is told
        to the log. Names as in `on`. Raises `UnknownEvent`, also for events of which the store alone knows, and
        `InvalidOption`.
        """
        patterns = check_patterns(names)

        def listening(fn: Callable[[Event], T]) -> Callable[[Event], T]:
            self._listening.add(patterns, fn)
            self._listening.join(self._kit.hooks, patterns)
            return fn

        return listening

    # ---- alerts ------------------------------------------------------------------------------------------------

    def alert(
        self,
        when: str,
        to: Sink | Job[..., Any] | Sequence[Sink | Job[..., Any]] | None = None,
        *,
        name: str | None = None,
        at_most_every: timedelta | float | str = "1h",
        resolved: bool = True,
    ) -> None:
        """Watch a condition: ``bb.alert(when="dlq.count > 100 for 5m", to=webhook("https://…"), at_most_every="1h")``.

        All engines that declare it look at the store every few seconds and share what they see. Once it has held for as
        long as it says, one of them publishes ``alert.fired``, in the log as an error; once it holds no more,
        ``alert.resolved``. Those events are handed to each of ``to``, a sink or a job that takes the event, without the
        second unless ``resolved``. It fires no sooner than ``at_most_every`` after it last did, and then only if it still
        holds. Its ``name``, the subject of its events, is else its condition.

        Raises `InvalidAlert`, which shows where the condition cannot be read, `InvalidOption`, and what `on` raises.
        """
        rule = make_rule(when, name, at_most_every)
        self._alerts.check(rule)
        targets = () if to is None else to if isinstance(to, list | tuple) else (to,)
        told = [told_of(rule.name, self._told_job(each), resolved=resolved) for each in targets]
        for subscriber in told:
            self._subscribe(subscriber)
        for comparison in rule.condition.comparisons:
            self._counts.ask(comparison.measure, self._kit.hooks)
        self._alerts.add(rule)

    def _told_job(self, target: object) -> Job[..., Any]:
        if isinstance(target, Job):
            return cast("Job[..., Any]", target)
        if callable(target) and not hasattr(target, "send"):
            raise InvalidOption(f"to={target!r} is a plain function: decorate it with @bb.job", option="to")
        return self._sinks.job(cast("Sink", target))

    # ---- limits and locks ----------------------------------------------------------------------------------------

    @property
    def queues(self) -> Queues:
        """Pauses and limits of queues."""
        return self._running().queues

    @property
    def kinds(self) -> KindPauses:
        """Pauses of kinds."""
        return self._running().pauses

    @property
    def limits(self) -> Limits:
        """What lanes allow: concurrency, rates, bulkheads and retry budgets."""
        return self._running().limits

    @property
    def breakers(self) -> Breakers:
        """Circuit breakers."""
        return self._running().breakers

    def lock(
        self,
        name: str,
        *,
        shared: bool = False,
        timeout: timedelta | float | None = None,
        lease: timedelta | float | None = None,
    ) -> Lock:
        """Return a lock over all nodes: ``async with bb.lock("import") as lock``.

        ``timeout`` bounds how long it is waited for (`LockTimeout`), ``lease`` (30 s) how long others wait for a holder
        that died. Raises `InvalidOption`.
        """
        return self._running().locks.lock(name, shared=shared, timeout=timeout, lease=lease)

    # ---- telemetry -----------------------------------------------------------------------------------------------

    @property
    def health(self) -> Health:
        """Probes, as calls and as ASGI apps: ``await bb.health.ready()``, ``app.mount("/health/ready", bb.health.ready)``.

        ``live`` fails where only a restart helps, ``ready`` also from a drain on and while the store is out of reach.
        """
        return self._health

    def vitals(self) -> Vitals:
        """Return what the engine knows of itself, asking nobody; what metrics and probes are made of."""
        return Vitals() if self._here is None else self._here.vitals

    async def sample(self) -> Sample:
        """Read what metrics show of the store: queues, nodes, breakers, subscriptions. Raises `NotRunning`, `StoreError`."""
        return await self._running().sample()

    def instrument(self, telemetry: Telemetry) -> None:
        """Have a telemetry watch jobs come and go from now on; what it raises is told to the log, and harms no job.

        One that does so already is told of nothing twice. Raises `InvalidOption` for what is none.
        """
        if not isinstance(telemetry, Telemetry):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidOption(
                f"{telemetry!r} is no Telemetry: write a class of backburner.ports.telemetry.Telemetry",
                option="telemetry",
            )
        if not any(each is telemetry for each in self._telemetries):
            self._telemetries.append(telemetry)
            self._kit.hooks.add(telemetry, guard)

    # ---- testing -----------------------------------------------------------------------------------------------

    def testing(self, *, mode: Mode = "manual", start: datetime | None = None, **given: Unpack[Given]) -> Testing:
        """Test the app: ``async with bb.testing() as jobs``, or ``with``, where the test has no event loop.

        Within it jobs are stored in memory, time stands still, and nothing runs by itself: ``jobs.drain()`` runs what is
        due, ``jobs.advance(hours=1)`` moves the time, ``jobs.assert_enqueued(send_email("a"), delay=60)`` looks. With
        ``mode="inline"`` jobs run as they are stored. ``start`` is the time it begins with, else that of the machine;
        ``state`` is what jobs find in place of what ``lifespan=`` opens.

        Enter it before whatever enters the engine: `AlreadyRunning` else. Raises `InvalidOption`.
        """
        from backburner.testing.kit import Testing  # noqa: PLC0415 - not for those who do not test

        unknown = given.keys() - Given.__annotations__.keys()
        if unknown:
            known = ", ".join(("mode", "start", *Given.__annotations__))
            raise InvalidOption(f"testing has no option {min(unknown)!r}; it takes {known}", option=min(unknown))
        return Testing(lambda clock, record: self._parts(clock, record, given), self._put_on, mode=mode, start=start)

    def _parts(self, clock: Clock, record: Telemetry, given: Given) -> Parts:
        """Return what the app is made of, but for its store, its clock, and with somebody else who watches."""
        from backburner.testing.lives import Parts  # noqa: PLC0415 - as above

        hooks = self._kit.hooks.copy()
        hooks.add(record)
        kit = Kit(clock, guarded(self._listener, hooks), Random(), hooks)  # noqa: S311 - jitter
        extras = self._extras
        if "state" in given:
            extras = replace(extras, lifespan=lambda: nullcontext(given["state"]))
        return Parts(settings=self._settings, kinds=self._kinds, extras=extras, kit=kit)

    def _put_on(self, stage: Stage | None) -> None:
        """Run on a stage from now on, or no more."""
        if stage is None:
            before, self._stage = self._stage, None
            self._blocking.part()
            self._kit, self._listening.clock = self._own_kit, self._own_kit.clock
            if before is not None and before.lives.entered:
                raise AlreadyRunning(
                    "the app still runs and its test is over: leave what enters it first, as `with bb.testing() as jobs, "
                    "TestClient(app) as client` does"
                )
            return
        if self._engine is not None or self._stage is not None:
            raise AlreadyRunning(
                "it runs already, or is being tested: enter bb.testing() before whatever enters the engine, and one at a time"
            )
        self._stage = stage
        self._kit, self._listening.clock = stage.kit, stage.kit.clock

    @contextmanager
    def override(self, factory: Callable[..., T], replacement: Callable[..., T]) -> Generator[None]:
        """Have ``replacement`` opened in place of a `Provide` factory, wherever this engine's jobs need it.

        Within the block, in this process; process jobs, which open their own, are not touched.
        """
        overrides = self._kinds.home.overrides
        before = overrides.get(factory)
        overrides[factory] = replacement
        try:
            yield
        finally:
            if before is None:
                del overrides[factory]
            else:
                overrides[factory] = before

    # ---- parts -------------------------------------------------------------------------------------------------

    @property
    def _here(self) -> Engine | None:
        """The engine that was entered, if one is."""
        return self._engine if self._stage is None else self._stage.lives.known()

    def _running(self) -> Engine:
        if self._stage is not None:
            return self._stage.lives.engine()
        if self._engine is None:
            refuse_in_child()
            raise NotRunning
        return self._engine

    async def _ping(self) -> None:
        await self._running().ping()

    def _client_for(self, calls: object) -> Client:
        """Return where calls are stored from here; refused, they are known to have been handed over."""
        try:
            engine = self._running()
            if engine.loop is not asyncio.get_running_loop():
                raise NotRunning(
                    "the engine runs on another event loop than this: from a thread, write bb.blocking.create_task(…)"
                )
        except BackburnerError:
            take(calls)
            raise
        return engine.client

    async def _start(self, settings: config.Settings) -> None:
        for subscriber in self._subscribers:
            self._check_handler(subscriber)  # a registry's may be over a job of another
        if self._stage is not None:
            with uncorrelated():
                await self._stage.lives.enter()
            return
        if self._engine is not None:
            raise AlreadyRunning
        # Its loops outlive whatever it is entered in.
        with uncorrelated():
            engine = self._engine = Engine(settings, self._kinds, self._extras, self._kit, self._told)
            try:
                await engine.start()
            except BaseException:
                await self._end(engine)
                raise

    async def _stop(self) -> None:
        if self._stage is not None:
            await to_the_end(self._stage.lives.leave())
        else:
            await self._end(self._running())

    async def _end(self, engine: Engine) -> None:
        try:
            # Whoever cancels the app must not lose what runs in it: the grace bounds this.
            await to_the_end(engine.stop())
        finally:
            self._engine = None

    def _storing(self) -> Storing | None:
        if self._stage is not None:
            return self._stage.door()
        return self._engine if self._engine is not None and self._engine.started else None

    @asynccontextmanager
    async def _only_storing(self) -> AsyncGenerator[Storing]:
        """Open an engine of its own that only stores, for a process without a loop."""
        if self._stage is not None:
            async with self._stage.only_storing() as door:
                yield door
            return
        if self._settings.url.startswith("memory:"):
            raise NotRunning(
                "a store in memory is its own engine's alone: enter that first, or use a file (sqlite:///jobs.db)"
            )
        engine = Engine(
            self._settings.as_client(),
            self._kinds,
            Extras(
                declarations=self._declarations,
                subscribers=Subscribers(),
                alerts=Rules(),
                counts=Counts(),
                listening=self._listening,
                sinks=nullcontext,
                lifespan=None,
                around=(),
                headers=self._extras.headers,
            ),
            self._kit,
            self._told,
        )
        try:
            await engine.start()
            yield engine
        finally:
            await to_the_end(engine.stop())


def _callable(value: T, option: str) -> T:
    if value is None:
        return value
    if hasattr(value, "__aenter__"):
        raise InvalidOption(
            f"{option}={value!r} is the manager already: give the function that makes it", option=option
        )
    if not callable(value):
        raise InvalidOption(f"{option}={value!r} cannot be called: give a function", option=option)
    return value


def _wrappers(given: Sequence[Around]) -> tuple[Around, ...]:
    if callable(given):
        raise InvalidOption(f"around takes several wrappers, not one: around=[{given!r}]", option="around")
    return tuple(_callable(each, "around") for each in given)
