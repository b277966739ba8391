"""The event store, in Redis."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from backburner.backends.content import job_flaw, refuse_events, refuse_subscription
from backburner.backends.redis import packing, recording, sending
from backburner.backends.redis.following import Follower, follow
from backburner.backends.redis.portions import in_portions
from backburner.backends.redis.transactions import refuse
from backburner.ports.events import Appended, Confirmed, Pulled, Subscribed
from backburner.ports.jobs import GroupAnswer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from backburner.backends.redis.sending import Argument
    from backburner.backends.redis.session import Session
    from backburner.model.event import NewEvent, NewSubscription
    from backburner.ports.events import Confirmation

__all__ = ["RedisEventStore"]

_STORED = GroupAnswer()


class RedisEventStore:
    """An `EventStore`. A script that stores an event numbers it, so whoever reads finds every number, in its order."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def append(self, events: Sequence[NewEvent], tx: object = None) -> Appended:
        """Store those that are asked for, or kept: of very many in portions, since others wait for a script to end."""
        refuse(tx)
        refuse_events(events)
        appended = await in_portions(events, _one, self._append)
        return Appended(appended[-1].now, sum(portion.stored for portion in appended))

    async def _append(self, events: Sequence[NewEvent]) -> Appended:
        keys = self._session.keys
        now, stored = await self._session.scripts.run("events_append", keys.logging, (sending.events(events),))
        return Appended(now, stored)

    async def subscribe(self, subscription: NewSubscription) -> Subscribed:
        """Enter a subscription, or take up the one of this name."""
        refuse_subscription(subscription)
        keys = self._session.keys
        after = "" if subscription.after is None else str(subscription.after)
        sent = (sending.pack(subscription.patterns), sending.pack(subscription.kind), str(subscription.ttl), after)
        now, log, last, kept = await self._session.scripts.run(
            "events_subscribe", (*keys.logging, keys.subscriptions, keys.leases), (subscription.name, *sent)
        )
        record = recording.subscription(subscription.name, kept)
        return Subscribed(now=now, log=log.decode(), last=last, subscription=record)

    async def unsubscribe(self, name: str) -> bool:
        """Forget a subscription."""
        keys = self._session.keys
        sent = (name.encode("utf-8", "surrogatepass"),)
        used = (*keys.logging, keys.subscriptions, keys.leases)
        return bool(await self._session.scripts.run("events_unsubscribe", used, sent))

    async def pull(self, names: Collection[str], *, limit: int) -> Pulled:
        """Hand subscriptions what they ask for: each event is fetched once, for all of them that stand before it."""
        keys = self._session.keys
        wanted = sorted({*names})
        asked: tuple[str | bytes, ...] = ("some", *(name.encode("utf-8", "surrogatepass") for name in wanted))
        now, log, last, *found = await self._session.scripts.read(
            "read_subscriptions", (keys.meta, keys.subscriptions), asked
        )
        followers = [
            Follower(recording.subscription(name, value), limit)
            for name, value in zip(wanted, found[1::2], strict=True)
            if value is not None
        ]
        await follow(self._session, followers, last, few=limit)
        return Pulled(now=now, log=log.decode(), received=tuple([follower.received() for follower in followers]))

    async def confirm(self, confirmations: Sequence[Confirmation]) -> Confirmed:
        """Move subscriptions on: of very many jobs in portions, as above."""
        confirmed = await in_portions(confirmations, _size, self._confirm)
        return Confirmed(
            now=confirmed[-1].now, groups=tuple(group for portion in confirmed for group in portion.groups)
        )

    async def _confirm(self, confirmations: Sequence[Confirmation]) -> Confirmed:
        keys = self._session.keys
        flaws = [*map(partial(_flaw, self._session.clock.now()), confirmations)]
        args = [
            arg for each, flaw in zip(confirmations, flaws, strict=True) if flaw is None for arg in _confirmation(each)
        ]
        now, *said = await self._session.scripts.run("events_confirm", (*keys.tables, keys.subscriptions), args)
        answers = iter(said)
        groups = [
            _group(each, next(answers)) if flaw is None else flaw
            for each, flaw in zip(confirmations, flaws, strict=True)
        ]
        return Confirmed(now=packing.number(now), groups=tuple(groups))


def _one(event: NewEvent) -> int:
    del event
    return 1


def _size(confirmation: Confirmation) -> int:
    """Return how much a confirmation writes."""
    return 1 + len(confirmation.jobs)


def _flaw(now: int, confirmation: Confirmation) -> GroupAnswer | None:
    """Refuse a confirmation for the content of its jobs."""
    for job in confirmation.jobs:
        flaw = job_flaw(job, now)
        if flaw is not None:
            return GroupAnswer(refused=f"job {job.id!r}: {flaw}")
    return None


def _confirmation(made: Confirmation) -> Iterator[Argument]:
    """Bring a confirmation as ``events_confirm.lua`` takes it."""
    yield made.name.encode("utf-8", "surrogatepass")
    yield str(made.cursor)
    yield str(made.upto)
    yield len(made.jobs)
    for job in made.jobs:
        yield from sending.job(job)


def _group(made: Confirmation, said: list[int | bytes] | None) -> GroupAnswer | None:
    """Return what became of the jobs of a confirmation, from what was said of some of them by their places."""
    if said is None:
        return None
    if not said:
        return _STORED
    found = [(made.jobs[int(at)].id, bytes(what)) for at, what in zip(said[::2], said[1::2], strict=True)]
    return GroupAnswer(
        duplicates=tuple(job_id for job_id, what in found if what == b"duplicate"),
        holders={job_id: what[1:].decode() for job_id, what in found if what.startswith(b"=")},
    )
