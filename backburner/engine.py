"""One life of an engine, from start to stop: the one place that wires everything."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from msgspec import structs

from backburner.backends import urls
from backburner.backends.content import image_flaw
from backburner.dlq.face import DeadLetters
from backburner.dlq.letters import Letters
from backburner.errors import ResourceFailed, SchemaTooOld
from backburner.events.bell import Bell
from backburner.events.following import Following
from backburner.events.publisher import Publisher, published
from backburner.events.relay import Relay
from backburner.jobs.breakers import Breakers
from backburner.jobs.client import Client
from backburner.jobs.explaining import Explainer
from backburner.jobs.handle import JobHandle
from backburner.jobs.handles import Handles
from backburner.jobs.hints import Hints
from backburner.jobs.identity import Identity
from backburner.jobs.intake import Intake
from backburner.jobs.joined import Joined
from backburner.jobs.keeper import BEATS
from backburner.jobs.limits import Limits
from backburner.jobs.loop import Loop
from backburner.jobs.order import Orders
from backburner.jobs.process_loading import refuse_while_loading
from backburner.jobs.queues import KindPauses, Queues
from backburner.jobs.resources import Resources
from backburner.jobs.standing import build, order
from backburner.jobs.worker import LAST_WRITES, Plan, Worker
from backburner.model.clock import LONGEST, SECOND
from backburner.model.ids import Ids
from backburner.model.lane import Limit, lane_name, limit_name
from backburner.model.telling import tell
from backburner.model.times import moment
from backburner.observability.alerts.budgets import Budgets
from backburner.observability.alerts.readings import Readings
from backburner.observability.alerts.untold import Untold
from backburner.observability.alerts.watcher import Watcher
from backburner.observability.sampling import Sampler
from backburner.observability.vitals import LoopVitals, Vitals
from backburner.ports.backend import Finding, Hint, Level
from backburner.ports.jobs import GroupAnswer
from backburner.ports.telemetry import Signal
from backburner.resilience.lock import Locks
from backburner.scheduler.declaring import Declarer
from backburner.scheduler.face import SchedulesFace
from backburner.scheduler.records import BuiltJob, Ordered
from backburner.scheduler.scheduler import Scheduler
from backburner.scheduler.schedules import Schedules
from backburner.scheduler.zone_watch import ZoneWatch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from backburner.config import Settings
    from backburner.events.event import Event
    from backburner.events.listening import Listening
    from backburner.events.subscribers import Subscriber, Subscribers
    from backburner.jobs.call import Call
    from backburner.jobs.executor import Around
    from backburner.jobs.kit import Kit
    from backburner.jobs.options import TaskOptions
    from backburner.jobs.registry import Kinds
    from backburner.model.job import NewJob
    from backburner.observability.alerts.counts import Counts
    from backburner.observability.alerts.rule import Rules
    from backburner.observability.sampling import Sample
    from backburner.ports.backend import Backend, SchemaState
    from backburner.scheduler.declared import Declarations

__all__ = ["Engine", "Extras"]

R = TypeVar("R")

#: Bytes.
ARGUMENT_LIMIT = 256 * 1024
RESULT_LIMIT = 1024 * 1024

#: The limit under which a handler's jobs about one subject run one after another, and what it allows each of them.
EVENT_LIMIT = "event"
ONE_AT_A_TIME = Limit(slots=1)
#: What the names of retry budgets' limits begin with.
BUDGET = limit_name("budget", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What only code can say of an engine."""

    declarations: Declarations
    subscribers: Subscribers
    alerts: Rules
    #: What they look back on.
    counts: Counts
    listening: Listening
    #: Entered while handlers may send to sinks, which are closed afterwards.
    sinks: Callable[[], AbstractAsyncContextManager[object]]
    lifespan: Callable[[], AbstractAsyncContextManager[object]] | None
    around: Sequence[Around]
    headers: Callable[[], Mapping[str, str]] | None


class Engine:
    """The parts of a running engine. Made on the loop it runs on; started once, stopped once.

    ``told`` holds what engines of the same app have told of the store: one that is entered again does not repeat it. A
    test gives a ``backend`` in place of the one that the settings name, and has the engine ``held``: then it takes work
    only between `release` and `hold`.
    """

    def __init__(
        self,
        settings: Settings,
        kinds: Kinds,
        extras: Extras,
        kit: Kit,
        told: set[str],
        *,
        backend: Backend | None = None,
        held: bool = False,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        # A life's loops are its own.
        kit = replace(kit, loops=set())
        self._settings = settings
        self._kinds = kinds
        self._declarations = extras.declarations
        self._extras = extras
        self._kit = kit
        self._told = told
        self._node = Identity()
        self._backend = backend or urls.connect(
            urls.parse(settings.url, base=Path.cwd()), clock=kit.clock, write_timeout=settings.write_timeout / SECOND
        )
        self._hints = Hints(self._backend.notifier, kit)
        self._hints.heard = self._heard
        self._joined = Joined(self._backend.transactions)
        self._ids = Ids(kit.clock)
        self._orders = Orders(kinds, self._ids, argument_limit=ARGUMENT_LIMIT, headers=extras.headers, hooks=kit.hooks)
        # A handler's job carries what the event does, and nothing else: neither the trace of whoever has entered the engine,
        # nor what the app says of a request, since none is around.
        self._event_orders = Orders(kinds, self._ids, argument_limit=ARGUMENT_LIMIT)
        self._handles = Handles(self._backend.reader, self._cancel, self._joined, kit=kit)
        self._worker = self._make_worker(held=held) if settings.run else None
        self.client = Client(
            self._backend,
            self._orders,
            self._joined,
            self._handles,
            hints=self._hints,
            midwife=self._worker.midwife if self._worker else None,
            kit=kit,
        )
        self._intake = self.client.intake = Intake(
            self._backend.jobs,
            self._backend.admin,
            node=self._node,
            write_timeout=settings.write_timeout / SECOND,
            stored=self.client.stored,
            dropped=self.client.dropped,
            kit=kit,
        )
        self.queues = Queues(self._backend.queues, self._tell)
        self.pauses = KindPauses(self._backend.kinds, self._tell)
        self.limits = Limits(self._backend.limits, self._tell)
        self.breakers = Breakers(self._backend.cells, self.limits)
        self.explainer = Explainer(self._backend)
        self.locks = Locks(
            self._backend.leases,
            freed=lambda: self._tell(Hint.LOCK),
            lost=self._lock_lost,
            clock=kit.clock,
            random=kit.random,
        )
        letters = Letters(
            self._backend.reader,
            self._backend.admin,
            self._backend.nodes,
            self._backend.operations,
            clock=kit.clock,
            tell=self._tell,
            flaw=image_flaw,
        )
        self._sampler = Sampler(
            reader=self._backend.reader,
            nodes=self._backend.nodes,
            schedules=self._backend.schedules,
            events=self._backend.event_reader,
            breakers=self.breakers.list,
        )
        self._replayer = letters.replayer
        self.dlq = DeadLetters(letters)
        self._replays = Loop("replays", self._carry_on, kit=kit)
        schedules = Schedules(
            self._backend.schedules,
            self._backend.schedule_reader,
            self._backend.limits,
            build=self._build,
            fired=self._fired,
            tell=self._tell,
            ids=self._ids,
        )
        self.schedules = SchedulesFace(
            schedules, self._order, may_write=self._joined.refuse_write, tz=settings.tz, clock=kit.clock
        )
        self._scheduler = self._make_scheduler()
        self._ticking = Loop("schedules", self._tick, kit=kit)
        self._bell = Bell()
        self._hints.told = self._written
        self._publishing = Loop("publisher", lambda: self._publisher.step(), kit=kit)  # noqa: PLW0108 - it is made below
        self._publisher = Publisher(
            self._backend.events,
            ids=self._ids,
            wake=self._publishing.wake,
            stored=lambda: self._hints.tell(Hint.JOBS),
        )
        self._relay = self._make_relay()
        self._relaying = Loop("events", self._hand_over, kit=kit)
        self._ordered = False
        self._watching = Loop("alerts", self._watch, kit=kit)
        self._untold = Untold(self._backend.events, self._ids, wake=self._watching.wake, told=self._told_events)
        self._watcher = self._make_watcher()
        self._exit = AsyncExitStack()
        self._started = self._stopping = False

    async def start(self) -> None:
        """Open the store and begin; what was begun before an error is left for `stop`."""
        refuse_while_loading()
        ending = self._exit.push_async_callback
        # Also of a start that fails: somebody may publish already, and must not wait for ever.
        self._exit.callback(self._publisher.close)
        ending(self._backend.close)
        await self._backend.open(create=True)
        schema = await self._prepare_schema()
        await self._examine()
        self._exit.callback(self._backend.notifier.listen(self._heard))
        ending(self._hints.stop)
        ending(self.client.commits.stop)
        self.client.commits.start()
        ending(self._handles.stop)
        self._handles.start()
        ending(self._intake.close, LAST_WRITES)
        self._intake.start()
        self._exit.callback(self._bell.close)
        ending(self._publishing.stop)
        self._publishing.start()
        await self._exit.enter_async_context(self._extras.sinks())
        if self._extras.subscribers:
            # Also where nothing runs: what is published here is kept for the handlers elsewhere. Resources may publish.
            await self._declare_order()
            await self._relay.start()
        await self._open_resources()
        ending(self._watching.stop)
        self._watching.start()
        if self._worker is not None:
            ending(self._worker.stop)
            await self._worker.start()
            ending(self._replays.stop)
            self._replays.start()
            self._replays.wake()
            await self._scheduler.start()
            self._declarations.changed.add(self._redeclared)
            self._exit.callback(self._declarations.changed.discard, self._redeclared)
            ending(self._ticking.stop)
            self._ticking.start()
            self._ticking.wake()
            self._extras.subscribers.changed.add(self._relaying.wake)
            self._exit.callback(self._extras.subscribers.changed.discard, self._relaying.wake)
            ending(self._relaying.stop)
            self._relaying.start()
            self._relaying.wake()
        # Also where nothing runs: somebody has to see that nobody else does, and to ask for what handlers are to be told.
        for changed in (self._extras.alerts.changed, self._extras.subscribers.changed):
            changed.add(self._watching.wake)
            self._exit.callback(changed.discard, self._watching.wake)
        self._watching.wake()
        self._started = True
        self._kit.listener(
            Signal.ENGINE_STARTED,
            store=self._backend.address,
            durability=self._backend.durability,
            node=self._node.id,
            kinds=len(self._kinds.names),
            queues=dict(self._settings.queues) if self._worker is not None else {},
            migrated=f"{schema.current}→{schema.wanted}" if schema.pending else "no",
        )

    async def create_task(self, call: Call[R], options: TaskOptions, /) -> JobHandle[R]:
        """Store one job."""
        return await self.client.create_task(call, options)

    def again(self, handle: JobHandle[R], /) -> JobHandle[R]:
        """Return this engine's own handle of a job, whichever engine made the one given."""
        return JobHandle(self._handles.vigil(handle.id, handle.definition))

    async def publish(self, name: str, data: object, *, subject: str, event_id: str | None, tx: object) -> str:
        """Publish an event, in the caller's transaction where one is given; return its id."""
        carried = self._kit.hooks.carry()
        event = published(name, data, subject, event_id, secrets=self._settings.secrets, carried=carried)
        if tx is not None:
            self._backend.transactions.is_open(tx)
            event_id = await self._publisher.publish_in(tx, event)
            self._joined.join(tx)
            self.client.commits.watch(tx, ())
            return event_id
        if self._joined.open:
            self._joined.refuse_write()
        event_id = await self._publisher.publish(event)
        self._extras.listening.published(event, event_id)
        return event_id

    def events(
        self, patterns: tuple[str, ...], *, subject: str | None, subscription: str | None, after: str | None
    ) -> AsyncGenerator[Event]:
        """Read the log of events, from a place in it or from now on."""
        return Following(
            self._backend.events,
            self._backend.event_reader,
            self._bell,
            patterns=patterns,
            subject=subject,
            subscription=subscription,
            after=after,
            ttl=self._event_ttl,
            clock=self._kit.clock,
            loop=self.loop,
        ).events()

    async def drain(self) -> None:
        """Take no more work, and wait until nothing runs."""
        if self._worker is not None:
            await self._worker.drain()

    @property
    def started(self) -> bool:
        """Whether its start is complete."""
        return self._started

    @property
    def ready(self) -> bool:
        """Whether it has started, neither drains nor stops and, as far as it knows, reaches its store."""
        if not self._started or self._stopping or self._intake.away:
            return False
        return self._worker is None or not (self._worker.draining or self._worker.away)

    @property
    def vitals(self) -> Vitals:
        """What it knows of itself."""
        worker = self._worker
        beaten_at = None if worker is None else worker.beaten_at
        loops = [LoopVitals(loop.name, loop.failures, loop.away, loop.alive) for loop in tuple(self._kit.loops)]
        if worker is not None and self._started and self._backend.own_thread:
            # It beats from a thread of its own.
            keeper = worker.keeper
            loops.append(LoopVitals("keeper", keeper.failures, keeper.away, keeper.alive))
        return Vitals(
            started=self._started,
            draining=self._stopping or (worker is not None and worker.draining),
            store_away=self._intake.away or (worker is not None and worker.away and not worker.lost),
            lease_lost=worker is not None and worker.lost,
            last_beat=None if beaten_at is None else self._kit.clock.monotonic() - beaten_at,
            loops=tuple(loops),
            running={} if worker is None else worker.running(),
        )

    async def ping(self) -> None:
        """Read something cheap from the store; raises `StoreError`."""
        await self._backend.reader.get(())

    async def sample(self) -> Sample:
        """Read what metrics show of the store; raises `StoreError`."""
        return await self._sampler.take()

    async def stop(self) -> None:
        """End, in the order in which nothing is lost: runs, then what is stored, then whoever waits, then the store."""
        began = self._kit.clock.monotonic()
        self._stopping = True
        await self._exit.aclose()
        if self._started:
            witness = self._worker.witness if self._worker is not None else None
            self._kit.listener(
                Signal.ENGINE_STOPPED,
                completed=witness.completed if witness else 0,
                interrupted=witness.interrupted if witness else 0,
                seconds=round(self._kit.clock.monotonic() - began, 3),
            )

    def hurry(self) -> None:
        """Cut the grace of a stop short."""
        if self._worker is not None:
            self._worker.hurry()

    # ---- for tests -------------------------------------------------------------------------------------------------

    @property
    def node(self) -> str:
        """The id of its node."""
        return self._node.id

    @property
    def handles(self) -> Handles:
        """All that is waited for here."""
        return self._handles

    @property
    def quiet(self) -> bool:
        """Whether nothing is under way but what waits for time to pass, or for somebody outside."""
        return all(loop.resting for loop in self._kit.loops) and (self._worker is None or not self._worker.busy)

    async def ask_for_events(self) -> None:
        """Have events kept from now on that handlers here are to be told of."""
        if self._extras.subscribers:
            await self._relay.start()

    def nudge(self) -> None:
        """Have every loop look whether there is something to do."""
        if self._worker is not None:
            self._worker.tidy()
        self._relay.hurry()
        self._heard(Hint.CONTROL)
        self._heard(Hint.JOBS)
        for loop in tuple(self._kit.loops):
            loop.wake()

    def release(self) -> None:
        """Take work, though it was made to be held."""
        if self._worker is not None:
            self._worker.release()

    def hold(self) -> None:
        """Take no work until it is released; what runs goes on."""
        if self._worker is not None:
            self._worker.hold()

    def _make_worker(self, *, held: bool) -> Worker:
        settings = self._settings
        plan = Plan(
            queues=settings.queues,
            slots=settings.slots,
            threads=settings.threads,
            processes=settings.processes,
            around=self._extras.around,
            retry=settings.retry,
            timeout=settings.timeout,
            lease=settings.lease,
            stall_limit=settings.stall_limit,
            grace=settings.grace,
            keep=settings.keep,
            argument_limit=ARGUMENT_LIMIT,
            result_limit=RESULT_LIMIT,
        )
        return Worker(
            self._backend,
            self._kinds,
            self._handles,
            self._hints,
            orders=self._orders,
            joined=self._joined,
            schedules=lambda: self._declarations.names,
            node=self._node,
            plan=plan,
            held=held,
            kit=self._kit,
        )

    async def _open_resources(self) -> None:
        """Open what the app gave as ``lifespan=``; closed once nothing runs any more."""
        home = self._kinds.home
        self._exit.callback(self._leave_home)
        home.client = self.client
        lifespan = self._extras.lifespan
        if lifespan is None:
            return
        self._exit.callback(setattr, home, "state", None)
        try:
            resources = Resources(lifespan(), self._kit)
            self._exit.push_async_callback(resources.close)
            home.state = await resources.open()
        except Exception as error:
            name = getattr(lifespan, "__qualname__", repr(lifespan))
            raise ResourceFailed(
                f"lifespan={name} failed to open, so the engine did not start: {type(error).__name__}: {error}"
            ) from error

    def _leave_home(self) -> None:
        # An engine that only stored for threads may outlast the start of the app's own.
        if self._kinds.home.client is self.client:
            self._kinds.home.client = None

    async def _prepare_schema(self) -> SchemaState:
        schema = self._backend.schema
        if self._settings.migrate and schema.unattended:
            return await schema.upgrade()
        state = await schema.state()
        if not state.pending:
            return state
        if self._settings.migrate and not state.current:
            return await schema.upgrade()
        raise SchemaTooOld(
            f"{self._backend.address} has schema {state.current}, this backburner needs {state.wanted}: "
            "run `backburner db upgrade`",
            stored="no",
        )

    async def _examine(self) -> None:
        """Tell what is not as it should be about the store; nothing of that stops a start."""
        try:
            async with asyncio.timeout(self._settings.write_timeout / SECOND):
                findings = await self._backend.examine()
        except Exception as error:  # noqa: BLE001 - a store that works is not to be refused for want of a diagnosis
            found = f"the store could not be examined: {str(error) or type(error).__name__}"
            findings = (Finding(check="examination", level=Level.WARNING, found=found),)
        for finding in findings:
            if finding.check == "nodes" and self._worker is not None:
                continue  # that nobody runs what waits is over with this very start
            if finding.level is not Level.GOOD and finding.check not in self._told:
                self._told.add(finding.check)
                self._kit.listener(Signal.STORE_FINDING, check=finding.check, found=finding.found, mend=finding.mend)

    async def _carry_on(self) -> float:
        """Carry on the replays that people have begun, wherever that was."""
        beat = self._settings.lease / SECOND / BEATS
        wait = await self._replayer.step()
        return beat if wait is None else min(wait, beat)

    # ---- schedules -------------------------------------------------------------------------------------------------

    def _make_scheduler(self) -> Scheduler:
        backend, clock, listener = self._backend, self._kit.clock, self._kit.listener
        declarer = Declarer(
            self._declarations,
            backend.schedules,
            backend.schedule_reader,
            backend.nodes,
            backend.limits,
            order=self._order,
            ids=self._ids,
            tz=self._settings.tz,
            clock=clock,
            listener=listener,
        )
        return Scheduler(
            backend.schedules,
            backend.schedule_reader,
            declarer,
            ZoneWatch(backend.schedules, backend.schedule_reader, backend.cells),
            build=self._build,
            fired=self._fired,
            replace=self.client.cancel_all,
            ids=self._ids,
            clock=clock,
            listener=listener,
        )

    def _redeclared(self) -> None:
        self._ticking.wake()
        if self._worker is not None:
            self._worker.changed()

    async def _tick(self) -> float:
        """Fire what is due; then sleep until something is, or somebody says that something has changed."""
        beat = self._settings.lease / SECOND / BEATS
        wait = await self._scheduler.step()
        return beat if wait is None else min(wait, beat)

    def _order(self, call: object, said: Mapping[str, object], /) -> Ordered:
        return Ordered(*order(self._orders, cast("Call[object]", call), said))

    def _build(self, text: str, *, job_id: str, schedule: str, tick: int, lane: str | None) -> BuiltJob:
        known = self._kinds.definitions
        return BuiltJob(*build(text, known, job_id=job_id, schedule=schedule, tick=tick, lane=lane))

    def _fired(self, jobs: Sequence[NewJob], now: int) -> None:
        self.client.stored(jobs, {}, GroupAnswer(), now)

    # ---- events ----------------------------------------------------------------------------------------------------

    @property
    def _event_ttl(self) -> int:
        """How long a subscription nobody asks about is kept: as long as its events are."""
        return self._settings.keep.events or LONGEST

    def _make_relay(self) -> Relay:
        return Relay(
            self._extras.subscribers,
            self._backend.events,
            self._backend.event_reader,
            ttl=self._event_ttl,
            build=self._handle,
            stored=self._fired,
            clock=self._kit.clock,
            listener=self._kit.listener,
        )

    async def _hand_over(self) -> float:
        """Make jobs of the events that code asks for; then sleep until something is written, or for a beat."""
        beat = self._settings.lease / SECOND / BEATS
        if self._extras.subscribers and not self._ordered:
            await self._declare_order()
        wait = await self._relay.step()
        return beat if wait is None else min(wait, beat)

    async def _declare_order(self) -> None:
        """Have jobs of one handler about one subject run one after another, before any is stored."""
        await self._backend.limits.declare({EVENT_LIMIT: ONE_AT_A_TIME})
        self._ordered = True

    def _handle(self, subscriber: Subscriber, event: Event) -> NewJob | None:
        """Make the job of a handler and an event; it always has the same id, and runs beside none of its subject's."""
        made = subscriber.call(event)
        if made is None:
            return None
        call = cast("Call[object]", made)
        log, _, number = event.cursor.partition("-")
        # Those that are due at once are claimed by their ids: in the order of their events.
        job_id = Ids.numbered(moment(event.time, "time"), int(number), log, subscriber.name)
        job = self._event_orders.prepare(call, {"id": job_id}, heir=event if event.headers else None)
        if not event.subject:
            return job
        return structs.replace(job, lanes=(*job.lanes, lane_name(EVENT_LIMIT, f"{subscriber.name}/{event.subject}")))

    def _written(self) -> None:
        """Know that something was written, here or elsewhere: there may be events."""
        self._bell.ring()
        if self._extras.subscribers:
            self._relaying.wake()

    def _told_events(self) -> None:
        """Let the nodes know that there are events, this one too."""
        self._hints.tell(Hint.JOBS)

    # ---- alerts ----------------------------------------------------------------------------------------------------

    def _make_watcher(self) -> Watcher:
        backend, listener = self._backend, self._kit.listener
        budgets = Budgets(self._budgets, backend.limits, backend.cells, told=self._told_events, listener=listener)
        return Watcher(
            self._extras.alerts,
            self._extras.counts,
            readings=Readings(
                reader=backend.reader,
                nodes=backend.nodes,
                schedules=backend.schedules,
                events=backend.event_reader,
                breakers=self.breakers.list,
            ),
            budgets=budgets,
            untold=self._untold,
            cells=backend.cells,
            tidy=self._worker is not None,
            told=self._told_events,
            clock=self._kit.clock,
            listener=listener,
        )

    async def _watch(self) -> float | None:
        """Look at what alerts and budgets tell of, and tell of locks that were lost."""
        if self._extras.subscribers:
            # Whoever is to hear of what fires now has to ask for it first, also where code declares it later.
            await self._relay.start()
        return await self._watcher.step()

    def _budgets(self) -> tuple[str, ...]:
        """Return the limits of the retry budgets that jobs here name; where nothing runs, others look at them."""
        if self._worker is None:
            return ()
        return tuple(name for name in self._kinds.policies.limits() if name.startswith(BUDGET))

    def _lock_lost(self, name: str) -> None:
        node = self._node.id
        self._kit.listener(Signal.LOCK_LOST, lock=name, node=node)
        self._untold.tell(tell("lock.lost", name, node=node))

    # ---- what the parts ask of the others ----------------------------------------------------------------------------

    async def _cancel(self, job_id: str) -> bool:
        return await self.client.cancel(job_id)

    def _tell(self, hint: Hint) -> None:
        """Let the nodes know, this one too."""
        self._hints.tell(hint, here=True)

    def _heard(self, hint: Hint) -> None:
        self._written()
        if hint is Hint.JOBS:
            self._handles.hint()
        else:
            self.locks.heard()
        if self._worker is not None:
            self._worker.heard(hint)
            if hint is Hint.CONTROL:
                self._replays.wake()
                self._ticking.wake()
