"""The roles that hold events: what changed, written in the step of the change, and who asks to be told.

A store keeps an event if, in the step that writes it, a subscription asks for its name (`model.event.patterns_of`), or
if it is ``kept``. Nobody else's word is needed for that, so a subscription misses nothing that is begun after
`EventStore.subscribe` has answered; and where nobody asks, nothing is written.

Events about jobs are made by the stores themselves, in the very step of the change; no verb names them. Their subject
is the job's id, and their data an object of ``kind``, ``queue``, ``attempt`` (the number of the run it tells of, else
of the last; 0 before the first) and what stands beside each, nulls and empty texts left out. What ended a run tells of
that run's number, also where it gives the number back. ``error``, ``message`` and ``fingerprint`` are those of the
settlement; delays are in seconds, not below 0, and there also when they are 0:

- ``job.enqueued``: it was stored, by `JobStore.enqueue`, as a follow-up, by a schedule or a confirmation, or stored anew
  as a child; nothing more.
- ``job.claimed``: by a claim, or at birth. ``node``.
- ``job.completed``: ``node``.
- ``job.retry`` (settled to pending as `Ending.FAILED`): ``node``, ``error``, ``message``, ``fingerprint``, ``delay``.
- ``job.snoozed``: ``node``, ``message``, ``delay``. ``job.crashed`` (to pending), ``job.misfit``, and
  ``job.interrupted``, also for any other ending that is settled to pending: ``node``, ``error``, ``message``.
- ``job.released``: settled to pending without an ending, as it never began. ``node``, ``delay``.
- ``job.cancelled``: by a settlement (whatever was its ending; also one to pending of a job that was asked to be
  cancelled), with ``node``, or by `JobAdmin.cancel`, without. ``reason``: the one that the job then has.
- ``job.dead``: ``node``, ``reason``, ``error``, ``message``, ``fingerprint``.
- ``job.replayed``: by `JobAdmin.replay`; ``attempt`` is that of its last run. ``job.purged``: a dead letter was deleted.
  ``reason`` is ``purged`` by `JobAdmin.purge`, ``retention`` by `JobAdmin.prune`; other jobs are pruned without a word.

``node`` is the node that settles; of a lapsed or expired job the one that recovered it. A settlement that was applied
before tells nothing again. Notes, restored jobs, jobs that are handed over to be settled, and whatever is parked or let
into the line tell nothing.

``node.lost`` is made by `JobStore.recover`, once for each node whose claims it begins to hand over, if that is still in
the list of nodes: the subject is its id, the data an object with the ``host``. One that held nothing, and one that was
withdrawn, go without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from backburner.model.event import EventRecord, NewEvent, SubscriptionRecord
from backburner.model.job import NewJob
from backburner.ports.jobs import GroupAnswer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from backburner.model.event import NewSubscription

__all__ = [
    "Appended",
    "Confirmation",
    "Confirmed",
    "EventPage",
    "EventReader",
    "EventStore",
    "Pulled",
    "Received",
    "Subscribed",
    "Subscriptions",
]

#: Events that one `EventReader.read`, or one `EventStore.pull` for each subscription, looks at.
LOOKED_AT = 10_000


class Appended(msgspec.Struct, frozen=True):
    """The answer to `EventStore.append`."""

    now: int
    #: How many were stored: asked for, and not stored before.
    stored: int


class Subscribed(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `EventStore.subscribe`."""

    now: int
    #: Names this log among all there are, in lower-case letters and digits: drawn when the store was made.
    log: str
    #: The number of its newest event, of those deleted too; 0 before the first.
    last: int
    subscription: SubscriptionRecord


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What one subscription has before it."""

    name: str
    #: Where it stands: the number of the last event it is done with.
    cursor: int
    #: How far was looked: confirming this skips what did not match. Not below the newest, unless that was too far.
    upto: int
    #: What it asks for, by number; at most as many as were asked for.
    events: tuple[EventRecord, ...] = ()
    #: The greatest number above the cursor that was deleted before it was confirmed; None: it has missed nothing.
    lost: int | None = None


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `EventStore.pull`."""

    now: int
    log: str
    #: Subscriptions that exist, by name, also those that have nothing before them.
    received: tuple[Received, ...]


class Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription is done with what it was handed; the jobs that handle it are stored in the same step."""

    name: str
    #: Where it stood.
    cursor: int
    #: Where it stands from now on.
    upto: int
    jobs: tuple[NewJob, ...] = ()


class Confirmed(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `EventStore.confirm`: for each, in order, what became of its jobs; None: it stood elsewhere."""

    now: int
    groups: tuple[GroupAnswer | None, ...]


class EventStore(Protocol):
    """Takes events, and hands them to subscriptions. One system with `JobStore`: they share steps."""

    async def append(self, events: Sequence[NewEvent], tx: object = None) -> Appended:
        """Store those that are asked for, or kept; one whose id is stored is left as it is, until that is pruned.

        With ``tx``, as `JobStore.enqueue` has it, they are stored in the caller's transaction: they get their numbers
        once that commits, and delay nobody else's. Raises `TransactionRefused`, and `StoreRefused` for content: nothing
        is stored then. A change that comes with such events is not made either; it is refused as for its own content.
        """
        ...

    async def subscribe(self, subscription: NewSubscription) -> Subscribed:
        """Enter a subscription, or take up the one of this name: its patterns, kind and ttl become those given.

        From then on what it asks for is stored. A new one stands at the end of the log, an old one where it stood, or
        either behind ``after``. The store's now becomes its ``seen_at``.
        """
        ...

    async def unsubscribe(self, name: str) -> bool:
        """Forget a subscription; events stored for it stay until their time. False when there is none."""
        ...

    async def pull(self, names: Collection[str], *, limit: int) -> Pulled:
        """Hand subscriptions what they ask for, each from where it stands, at most ``limit`` events each; changes nothing.

        Numbers are given to whatever is committed by now and has none, in the order in which it was written: whoever
        wrote about a subject later has seen what was written before, so the order within each subject holds. No event
        ever gets a number below one that could have been read. Looks at no more than `LOOKED_AT` events a subscription.
        """
        ...

    async def confirm(self, confirmations: Sequence[Confirmation]) -> Confirmed:
        """Move subscriptions on, each with its jobs in one step, where it stands as its confirmation says.

        So of any number of nodes one is heard, and the others change nothing. Jobs are stored as `ScheduleStore.change`
        stores those of one change: ids stored before are left, one whose unique key is held is not stored and its holder
        answered. One confirmation never fails another; a group that is refused, or busy, leaves its subscription where
        it stood.
        """
        ...


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `EventReader.read`."""

    now: int
    log: str
    events: tuple[EventRecord, ...]
    #: How far was looked: the next page goes on there.
    upto: int
    #: No event lies beyond that by now, whether it matches or not.
    end: bool
    #: The greatest number that was deleted; 0: none was.
    pruned: int
    #: The number of the newest event, of those deleted too; 0 before the first.
    last: int


class Subscriptions(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `EventReader.subscriptions`: by name."""

    now: int
    log: str
    #: The number of the newest event, of those deleted too; 0 before the first.
    last: int
    subscriptions: tuple[SubscriptionRecord, ...]


class EventReader(Protocol):
    """Reads; never locks; works on a store opened for reading only, where it sees what has a number by then."""

    async def read(
        self,
        *,
        patterns: Collection[str] = (),
        subject: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after: int | None = None,
        newest: bool = False,
        limit: int,
    ) -> EventPage:
        """Return at most ``limit`` stored events: those with numbers above ``after``, by number.

        With ``newest`` it goes down instead: from the newest, or from below ``after``. Only those that match a pattern
        (none: all), of this subject, written from ``since`` to before ``until``. Looks at no more than `LOOKED_AT`
        events, and says how far it came. On a store opened for writing numbers are given as by `EventStore.pull`.
        """
        ...

    async def subscriptions(self) -> Subscriptions:
        """Return all subscriptions."""
        ...
