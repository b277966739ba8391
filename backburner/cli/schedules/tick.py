"""A line of the ledger, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.render import View
from backburner.cli.times import iso
from backburner.model.clock import SECOND
from backburner.model.duration import about, short
from backburner.model.schedule import UNIQUE, Outcome
from backburner.scheduler.planner import MERGED, MISSED, OVERLAP, PAUSED
from backburner.scheduler.records import CHANGED

if TYPE_CHECKING:
    from backburner.model.schedule import TickRecord

__all__ = ["TICKS", "late_of", "tick_json", "told"]


def late_of(tick: TickRecord) -> int:
    """Return by how much it was decided later than it was to fire."""
    return max(0, tick.at - tick.due_at)


def told(tick: TickRecord) -> str:
    """Say why it was skipped, how many they are, and who asked for it."""
    parts = [_why(tick)]
    if tick.count != 1:
        parts.append(f"{f'{tick.count:,}' if tick.count else 'very many'} until {iso(tick.last)}")
    if tick.by or tick.note:
        parts.append(": ".join(filter(None, (f"by {tick.by}" if tick.by else "", tick.note))))
    return "; ".join(filter(None, parts))


def tick_json(tick: TickRecord) -> dict[str, object]:
    """Return it as `--json` writes it."""
    return {
        "id": tick.id,
        "schedule": tick.schedule,
        "tick": iso(tick.tick),
        "last": iso(tick.last),
        "count": tick.count,
        "outcome": tick.outcome,
        "reason": tick.reason,
        "job": tick.job,
        "late": late_of(tick) / SECOND,
        "decided_at": iso(tick.at),
        "by": tick.by,
        "note": tick.note,
    }


def _why(tick: TickRecord) -> str:
    if tick.outcome is not Outcome.SKIPPED:
        return ""
    job = f"job {tick.job}" if tick.job else "a job"
    words = {
        MISSED: "its time had passed",
        MERGED: "a later one fired in its place",
        OVERLAP: f"{job} had not ended",
        PAUSED: "the schedule was paused",
        CHANGED: "the schedule had become another",
        UNIQUE: f"{job} holds the unique key",
    }
    reason = tick.reason or ""
    return words.get(reason, reason)


def _cells(tick: TickRecord) -> tuple[str, ...]:
    # Of what a person asked for, lateness says nothing.
    late = about(late_of(tick)) if tick.outcome in {Outcome.FIRED, Outcome.SKIPPED} else ""
    job = "" if tick.outcome is Outcome.SKIPPED else tick.job or ""
    return (tick.schedule, iso(tick.tick), tick.outcome, late, job, told(tick))


def _fields(tick: TickRecord) -> tuple[str, ...]:
    return (
        *(tick.schedule, iso(tick.tick), iso(tick.last), str(tick.count), tick.outcome, tick.reason or ""),
        *(tick.job or "", short(late_of(tick)), iso(tick.at), tick.by or "", tick.note or ""),
    )


TICKS: View[TickRecord] = View(
    titles=("SCHEDULE", "TICK", "OUTCOME", "LATE", "JOB", "NOTE"),
    cells=_cells,
    fields=_fields,
    value=tick_json,
    # Of one schedule its name goes first instead, see `ticks`.
    spare=(3, 4),
)
