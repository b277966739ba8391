"""What is going on in a store, and what of it wants a person: values that faces show, and nothing that reads."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from backburner.model.node import KindRecord, NodeRecord, QueueRecord
from backburner.model.operation import OperationRecord
from backburner.ports.jobs import FailureGroup, QueueBacklog

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "LATE",
    "BreakerSeen",
    "BudgetSeen",
    "Letters",
    "Lost",
    "Missed",
    "Overdue",
    "Overview",
    "Part",
    "QueueSeen",
    "Slow",
    "Trouble",
]

#: Microseconds by which a schedule that is due is late.
LATE = 60_000_000


class Part(StrEnum):
    """What is read by itself, so that the others are shown where one cannot be."""

    SCHEMA = "schema"
    NODES = "nodes"
    LOST = "lost nodes"
    QUEUES = "queues"
    SETTINGS = "settings of queues"
    DONE = "done a minute"
    LETTERS = "dead letters"
    KINDS = "kinds"
    BREAKERS = "breakers"
    BUDGETS = "budgets"
    SCHEDULES = "schedules"
    TICKS = "ticks"
    SUBSCRIPTIONS = "subscriptions"
    OPERATIONS = "replays"


class Trouble(StrEnum):
    """What may be found, the most alarming first."""

    #: A part could not be read.
    UNREAD = "unread"
    #: The schema is not the one that this code wants.
    SCHEMA = "schema"
    #: Jobs wait in a queue, and no living node takes any from it.
    UNSERVED = "unserved"
    #: A node died, and what it ran is not taken over yet.
    NODE_DEAD = "node-dead"
    #: Jobs became dead letters within a day.
    DEAD = "dead"
    #: A breaker is not closed, or was opened by a person.
    BREAKER = "breaker"
    #: A retry budget has run out, and retries wait for it.
    BUDGET = "budget"
    QUEUE_PAUSED = "queue-paused"
    KIND_PAUSED = "kind-paused"
    #: Jobs stand at the gate of a kind that no living node knows.
    KIND_UNKNOWN = "kind-unknown"
    #: A schedule is due, and nobody has decided upon it.
    LATE = "late"
    #: Ticks were passed over within a day, since they were overdue.
    MISSED = "missed"
    #: More events than one look takes in were stored since the last that a subscription is done with.
    BEHIND = "behind"


class BreakerSeen(Protocol):
    """A breaker as operators see it."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def phase(self) -> str:
        """``closed``, ``open``, ``half_open`` or ``closing``."""
        ...

    @property
    def since(self) -> datetime | None:
        """Since when; None: it has never turned."""
        ...

    @property
    def until(self) -> datetime | None:
        """When time alone changes it: the next probe."""
        ...

    @property
    def forced(self) -> bool:
        """An operator opened it, whatever its phase."""
        ...

    @property
    def by(self) -> str | None:
        """Who did."""
        ...

    @property
    def reason(self) -> str | None:
        """And why."""
        ...


class QueueSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A queue: what it holds, who takes from it, and what operators set for it."""

    holds: QueueBacklog
    #: Working nodes that take jobs from it, and their slots together: as they are set, else as the code declares them.
    nodes: int
    slots: int
    #: How many of its jobs were completed in the last minute; None: that could not be read.
    done: int | None
    #: Nothing is set in one that only has a name.
    record: QueueRecord

    @property
    def name(self) -> str:
        """What it is called."""
        return self.holds.queue

    @property
    def unserved(self) -> bool:
        """Whether jobs wait that no living node takes."""
        return self.holds.waiting > 0 and not self.nodes


class Lost(msgspec.Struct, frozen=True):
    """A node that died, and when another noticed."""

    node: str
    host: str
    at: int


class Letters(msgspec.Struct, frozen=True, kw_only=True):
    """The dead letters."""

    #: All there are, and those that died within a day.
    total: int
    recent: int
    #: The largest causes, most letters first; ``more`` where there may be others.
    causes: tuple[FailureGroup, ...]
    more: bool

    def struck(self, since: int) -> tuple[FailureGroup, ...]:
        """Return the causes that struck at or after a moment, those with most letters, of whatever age, first."""
        return tuple(cause for cause in self.causes if cause.last >= since)


class BudgetSeen(msgspec.Struct, frozen=True):
    """A retry budget that is dry."""

    name: str
    #: When it has its next permit.
    free_at: int | None


class Overdue(msgspec.Struct, frozen=True):
    """A schedule that is due, and late."""

    name: str
    kind: str
    due_at: int


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """Ticks that were passed over within a day, since they were overdue."""

    #: How many, by schedule.
    ticks: dict[str, int]
    #: There may be others.
    more: bool


class Slow(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription that is far behind."""

    name: str
    #: None: somebody reads it.
    kind: str | None
    #: How many events were stored since the last that it is done with.
    events: int


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """One screen of a store. What could not be read is empty, and named in ``unread`` with the reason."""

    address: str
    #: The store's now, and by how much that is ahead of this machine's, in microseconds.
    now: int
    offset: int
    #: The version of the schema that is stored, and that this code wants.
    schema: tuple[int, int] | None = None
    #: By id.
    nodes: tuple[NodeRecord, ...] = ()
    #: Nodes that died within a day, newest first; known only where somebody asks for events.
    lost: tuple[Lost, ...] = ()
    #: By name.
    queues: tuple[QueueSeen, ...] = ()
    letters: Letters | None = None
    #: Kinds that are paused, by name.
    kinds: tuple[KindRecord, ...] = ()
    #: How many jobs stand at the gates of kinds that no working node knows, by kind.
    unknown: dict[str, int] = {}
    #: Those that are not closed, and those that operators opened, by name.
    breakers: tuple[BreakerSeen, ...] = ()
    #: Those that are dry.
    budgets: tuple[BudgetSeen, ...] = ()
    #: The latest first.
    overdue: tuple[Overdue, ...] = ()
    missed: Missed | None = None
    #: The furthest behind first.
    slow: tuple[Slow, ...] = ()
    #: Replays, purges and imports under way, newest first.
    operations: tuple[OperationRecord, ...] = ()
    unread: dict[Part, str] = {}

    def unserved(self, queue: QueueSeen) -> bool:
        """Tell whether jobs wait in a queue that no living node takes, as far as it is known which nodes live."""
        return queue.unserved and Part.NODES not in self.unread

    @property
    def troubles(self) -> tuple[tuple[Trouble, str], ...]:
        """What wants a person, the most alarming first: what it is, and of whom; the name is empty where it is of all."""
        found: dict[Trouble, list[str]] = {
            Trouble.UNREAD: [*self.unread],
            Trouble.SCHEMA: [""] if self.schema is not None and self.schema[0] != self.schema[1] else [],
            Trouble.UNSERVED: [queue.name for queue in self.queues if self.unserved(queue)],
            Trouble.NODE_DEAD: [node.id for node in self.nodes if not node.alive],
            Trouble.DEAD: [""] if self.letters is not None and self.letters.recent else [],
            Trouble.BREAKER: [breaker.name for breaker in self.breakers],
            Trouble.BUDGET: [budget.name for budget in self.budgets],
            Trouble.QUEUE_PAUSED: [queue.name for queue in self.queues if queue.record.paused],
            Trouble.KIND_PAUSED: [kind.name for kind in self.kinds],
            Trouble.KIND_UNKNOWN: [*self.unknown],
            Trouble.LATE: [schedule.name for schedule in self.overdue],
            Trouble.MISSED: [] if self.missed is None else [*self.missed.ticks],
            Trouble.BEHIND: [subscription.name for subscription in self.slow],
        }
        return tuple((trouble, name) for trouble, names in found.items() for name in names)
