"""A subscription, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.cli.render import View
from backburner.cli.times import ago, iso
from backburner.events.event import cursor_of
from backburner.model.clock import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.event import SubscriptionRecord
    from backburner.ports.events import Subscriptions

__all__ = ["SUBSCRIPTIONS", "Standing", "standings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A subscription, and where it stands in its log."""

    record: SubscriptionRecord
    log: str
    #: The number of the log's newest event.
    last: int
    now: int

    @property
    def cursor(self) -> str:
        """The place of the last event it is done with."""
        return cursor_of(self.log, self.record.cursor)

    @property
    def behind(self) -> int:
        """How many events were stored since, whether or not it asks for them."""
        return max(0, self.last - self.record.cursor)


def standings(known: Subscriptions, name: str | None = None) -> Sequence[Standing]:
    """Return them by name; or the one of this name."""
    return [
        Standing(record=record, log=known.log, last=known.last, now=known.now)
        for record in known.subscriptions
        if name is None or record.name == name
    ]


def _cells(standing: Standing) -> tuple[str, ...]:
    record = standing.record
    handler = "a reader" if record.kind is None else "that job" if record.kind == record.name else record.kind
    seen = ago(record.seen_at, standing.now)
    return (record.name, handler, f"{standing.behind:,}", seen, standing.cursor, " ".join(record.patterns))


def _fields(standing: Standing) -> tuple[str, ...]:
    record = standing.record
    place = (standing.cursor, str(standing.behind))
    times = (iso(record.seen_at), iso(record.seen_at + record.ttl))
    return (record.name, record.kind or "", " ".join(record.patterns), *place, *times)


def _value(standing: Standing) -> dict[str, object]:
    record = standing.record
    return {
        "name": record.name,
        "kind": record.kind,
        "patterns": record.patterns,
        "cursor": standing.cursor,
        "behind": standing.behind,
        "ttl": record.ttl / SECOND,
        "created_at": iso(record.created_at),
        "seen_at": iso(record.seen_at),
        "expires_at": iso(record.seen_at + record.ttl),
    }


SUBSCRIPTIONS: View[Standing] = View(
    titles=("SUBSCRIPTION", "HANDLED BY", "BEHIND", "SEEN", "STANDS AT", "ASKS FOR"),
    cells=_cells,
    fields=_fields,
    value=_value,
    # STANDS AT and SEEN, then HANDLED BY: what it asks for is looked for most.
    spare=(4, 3, 1),
    numbers=(2,),
)
