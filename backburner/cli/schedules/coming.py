"""What comes next, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.cli.render import View
from backburner.cli.times import iso
from backburner.model.duration import about

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from backburner.scheduler.agenda import Agenda
    from backburner.scheduler.timetable import Occurrence

__all__ = ["COMING", "Coming", "coming"]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Coming:
    """A moment at which a schedule runs or, with a note that says why, does not."""

    occurrence: Occurrence
    #: When it fires: the tick, later by its jitter.
    due_at: int | None


def coming(agenda: Agenda, occurrences: Iterable[Occurrence]) -> Sequence[Coming]:
    """Return what comes, with when it fires."""
    return [Coming(each, None if each.tick is None else agenda.due(each.tick)) for each in occurrences]


def _cells(coming: Coming) -> tuple[str, ...]:
    each = coming.occurrence
    jitter = 0 if each.tick is None or coming.due_at is None else coming.due_at - each.tick
    return (iso(each.tick) or "not run", _wall(each.local), each.zone, f"+{about(jitter)}" if jitter else "", each.note)


def _wall(local: datetime) -> str:
    """Write a time on the wall with its day of the week, in any locale alike."""
    finest = "milliseconds" if local.microsecond else "seconds" if local.second else "minutes"
    return f"{_DAYS[local.weekday()]} {local.isoformat(' ', finest)}"


def _fields(coming: Coming) -> tuple[str, ...]:
    each = coming.occurrence
    return (iso(each.tick), each.local.isoformat(), each.zone, iso(coming.due_at), each.note)


def _value(coming: Coming) -> dict[str, object]:
    each = coming.occurrence
    return {
        "tick": iso(each.tick) or None,
        "local": each.local.isoformat(),
        "zone": each.zone,
        "fires": iso(coming.due_at) or None,
        "note": each.note or None,
    }


COMING: View[Coming] = View(
    titles=("TICK", "ON THE WALL", "ZONE", "JITTER", ""), cells=_cells, fields=_fields, value=_value, spare=(3, 2)
)
