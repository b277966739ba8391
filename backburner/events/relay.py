"""From events to the jobs that handle them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from backburner.errors import CallRefused
from backburner.events.event import event_of
from backburner.model.clock import SECOND
from backburner.model.event import NewEvent, NewSubscription
from backburner.model.telling import tell
from backburner.ports.events import Confirmation
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backburner.events.event import Event
    from backburner.events.subscribers import Subscriber, Subscribers
    from backburner.model.clock import Clock
    from backburner.model.job import NewJob
    from backburner.ports.events import EventReader, EventStore, Pulled, Received
    from backburner.ports.jobs import GroupAnswer
    from backburner.ports.telemetry import Listener

__all__ = ["Relay"]

#: Events of one subscription in one step.
BATCH = 500
#: Characters of events' data in one step, over all subscriptions: what a store takes long over, it would be given for ever.
PORTION = 8 * 1024 * 1024
#: Seconds between two looks: many writes are followed by one.
PAUSE = 0.02
#: A subscription is entered anew so many times in its ttl, so that it is not forgotten.
RENEWALS = 8
#: Seconds after which a node looks who else handles events, and moves subscriptions past what they do not ask for.
LOOK = 10.0
#: Events that a subscription does not ask for, after which it is moved on at once.
SKIPPED = 1_000


class Relay:
    """Hands the events that code asks for to their handlers: one job for each event and handler, on any number of nodes.

    Every node that declares a handler looks, makes jobs, and moves the subscription on where it stands as it was found,
    in one step with the jobs. So one of them is heard and the others were outrun; a node that dies between leaves
    nothing behind, and another does it again. ``build`` makes the job of a handler and an event, under an id of the two, or none;
    ``stored`` is told of jobs that were stored.
    """

    def __init__(
        self,
        subscribers: Subscribers,
        store: EventStore,
        reader: EventReader,
        *,
        ttl: int,
        build: Callable[[Subscriber, Event], NewJob | None],
        stored: Callable[[Sequence[NewJob], int], None],
        clock: Clock,
        listener: Listener,
    ) -> None:
        self._subscribers = subscribers
        self._store = store
        self._reader = reader
        self._ttl = ttl
        self._build = build
        self._stored = stored
        self._clock = clock
        self._listener = listener
        #: Entered in the store, by name: when, on the clock's monotonic time.
        self._entered: dict[str, float] = {}
        #: The kinds that handle events, of whichever node: their own jobs' events are handed to none of them.
        self._handling: frozenset[str] = frozenset()
        self._known_at = float("-inf")
        self._looked_at = float("-inf")
        #: When each subscription was moved on last, as far as this node knows, likewise.
        self._moved_at: dict[str, float] = {}

    async def start(self) -> None:
        """Enter what code asks for: what happens from now on is kept for it. Raises `StoreError`."""
        await self._enter()

    def hurry(self) -> None:
        """Make no pause before the next step."""
        self._looked_at = float("-inf")

    async def step(self) -> float | None:
        """Hand over what there is, a bounded part of it; return the seconds until it is worth another look (None: a hint)."""
        if not self._subscribers:
            return None
        now = self._clock.monotonic()
        soon = self._looked_at + PAUSE - now
        if soon > 0:
            return soon
        await self._enter()
        self._looked_at = self._clock.monotonic()
        pulled = await self._store.pull([each.name for each in self._subscribers], limit=BATCH)
        known = {received.name for received in pulled.received}
        for name in self._entered.keys() - known:
            del self._entered[name]  # somebody has removed it; it is entered anew, from now on
        made = [self._made(pulled, received) for received in pulled.received if self._moves(received)]
        if not made:
            return 0 if len(known) < len(self._subscribers) else None
        await self._tell_lost(pulled)
        answer = await self._store.confirm([confirmation for confirmation, _ in made])
        more = False
        for (confirmation, numbers), group in zip(made, answer.groups, strict=True):
            if group is None or group.busy:
                more = True
            elif group.refused is not None:
                more = await self._one_by_one(confirmation, numbers) or more
            else:
                self._moved_at[confirmation.name] = self._looked_at
                self._tell_stored(confirmation, group, answer.now)
        return 0 if more or any(len(each.events) == BATCH for each in pulled.received) else PAUSE

    async def _enter(self) -> None:
        now = self._clock.monotonic()
        renewed = now - self._ttl / SECOND / RENEWALS
        for each in self._subscribers:
            entered = self._entered.get(each.name)
            if entered is None or entered <= renewed:
                await self._store.subscribe(
                    NewSubscription(name=each.name, patterns=each.patterns, kind=each.kind, ttl=self._ttl)
                )
                self._entered[each.name] = now
                self._known_at = float("-inf")
        if now - self._known_at > LOOK:
            known = (await self._reader.subscriptions()).subscriptions
            own = {each.kind for each in self._subscribers}
            self._handling = frozenset({each.kind for each in known if each.kind is not None} | own)
            self._known_at = now

    def _moves(self, received: Received) -> bool:
        """Tell whether a subscription is to be moved on: past what it does not ask for only now and then."""
        if received.events or received.lost is not None:
            return True
        skipped = received.upto - received.cursor
        return skipped >= SKIPPED or (skipped > 0 and self._looked_at - self._moved_at.get(received.name, 0.0) > LOOK)

    def _made(self, pulled: Pulled, received: Received) -> tuple[Confirmation, list[int]]:
        """Return what is confirmed, and of each of its jobs the number of the event."""
        subscriber = self._subscribers.get(received.name)
        jobs: list[NewJob] = []
        numbers: list[int] = []
        upto, done = received.upto, received.cursor
        room = PORTION // len(pulled.received)
        if subscriber is not None:
            for record in received.events:
                if room <= 0:
                    upto = done
                    break
                room -= len(record.data)
                done = record.number
                event = event_of(pulled.log, record)
                if record.name.startswith("job.") and event.data.get("kind") in self._handling:
                    continue  # else handlers of `job.*` would feed each other for ever
                job = self._job(subscriber, event)
                if job is not None:
                    jobs.append(job)
                    numbers.append(record.number)
        made = Confirmation(name=received.name, cursor=received.cursor, upto=upto, jobs=tuple(jobs))
        return made, numbers

    def _job(self, subscriber: Subscriber, event: Event) -> NewJob | None:
        try:
            return self._build(subscriber, event)
        except CallRefused as error:
            # It would be refused again: the others are not to wait for it.
            self._listener(
                Signal.EVENT_REFUSED, error=error, subscription=subscriber.name, event=event.name, cursor=event.cursor
            )
            return None

    async def _one_by_one(self, confirmation: Confirmation, numbers: Sequence[int]) -> bool:
        """Hand over alone what the store refused for its content together; return whether there may be more."""
        cursor = confirmation.cursor
        for number, job in zip(numbers, confirmation.jobs, strict=True):
            one = Confirmation(name=confirmation.name, cursor=cursor, upto=number, jobs=(job,))
            answer = await self._store.confirm((one,))
            (group,) = answer.groups
            if group is not None and group.refused is not None:
                self._listener(Signal.EVENT_REFUSED, subscription=one.name, job=job.id, why=group.refused)
                (group,) = (await self._store.confirm((structs.replace(one, jobs=()),))).groups
            elif group is not None and not group.busy:
                self._tell_stored(one, group, answer.now)
            if group is None or group.busy:
                return True
            cursor = number
        (group,) = (await self._store.confirm((structs.replace(confirmation, cursor=cursor, jobs=()),))).groups
        return group is None

    def _tell_stored(self, confirmation: Confirmation, group: GroupAnswer, now: int) -> None:
        there = {*group.duplicates, *group.holders}
        stored = [job for job in confirmation.jobs if job.id not in there]
        if stored:
            self._stored(stored, now)

    async def _tell_lost(self, pulled: Pulled) -> None:
        lost = [received for received in pulled.received if received.lost is not None]
        for received in lost:
            self._listener(Signal.EVENTS_LOST, subscription=received.name, upto=received.lost)
        if lost:
            # Whoever is outrun says it too: of one id the store keeps one.
            told: list[NewEvent] = [
                structs.replace(
                    tell("events.lost", each.name, upto=each.lost), id=f"lost:{pulled.log}-{each.lost}:{each.name}"
                )
                for each in lost
            ]
            await self._store.append(told)
