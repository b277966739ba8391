"""A schedule, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.cli.render import View
from backburner.cli.times import ago, iso
from backburner.errors import PayloadNotReadable
from backburner.model.clock import SECOND
from backburner.model.duration import about, short
from backburner.scheduler.rule import Rule, decode
from backburner.scheduler.views import state_of, when_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from backburner.cli.schedules.desk import Desk
    from backburner.model.schedule import ScheduleRecord
    from backburner.ports.backend import Backend
    from backburner.scheduler.views import ScheduleState

__all__ = ["SCHEDULES", "Row", "living_kinds", "read_row", "read_rows", "row_of", "schedule_json"]

#: Schedules a page.
_PAGE = 500
#: Characters of a table that say when a schedule is due.
_WHEN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A schedule as it was read."""

    record: ScheduleRecord
    #: None where another version of backburner wrote it.
    rule: Rule | None
    now: int
    #: A living node knows the kind of its jobs.
    known: bool

    @property
    def state(self) -> ScheduleState:
        """What people call it."""
        return state_of(self.record)

    @property
    def when(self) -> str:
        """When it is due, in a line."""
        return "not readable here" if self.rule is None else when_of(self.rule)

    @property
    def lag(self) -> int:
        """By how much it is overdue."""
        due_at = None if self.record.paused else self.record.due_at
        return 0 if due_at is None else max(0, self.now - due_at)

    @property
    def troubles(self) -> list[str]:
        """What keeps it from firing, or its jobs from running, in words."""
        told: list[str] = []
        if self.rule is None:
            told.append("another version of backburner wrote its rule")
        if self.state == "retired":
            told.append("no living node declares it")
        elif self.state == "paused":
            told.append(f"paused{self.pause}")
        if not self.known:
            told.append(f"waits for a node that knows {self.record.kind}")
        return told

    @property
    def pause(self) -> str:
        """Who paused it, until when and why: ``by ada until …: INC-7``, after a space; empty where nothing is known."""
        record = self.record
        by = f" by {record.by}" if record.by else ""
        until = f" until {iso(record.paused_until)}" if record.paused_until is not None else ""
        return f"{by}{until}{f': {record.reason}' if record.reason else ''}"


async def living_kinds(backend: Backend) -> frozenset[str]:
    """Return the kinds whose jobs a living node takes."""
    return frozenset(
        kind for node in await backend.nodes.find() if node.alive and not node.draining for kind in node.kinds
    )


def row_of(record: ScheduleRecord, now: int, kinds: Collection[str]) -> Row:
    """Return a schedule as it is shown, with what is known of the living nodes' kinds."""
    try:
        rule = decode(record.rule)
    except PayloadNotReadable:
        rule = None
    return Row(record=record, rule=rule, now=now, known=record.kind in kinds)


async def read_row(opened: Desk, name: str) -> Row:
    """Return a schedule; raises `ScheduleNotFound`."""
    record, now = await opened.schedules.get(name)
    return row_of(record, now, await living_kinds(opened.backend))


async def read_rows(opened: Desk, kind: str | None) -> AsyncIterator[list[Row]]:
    """Read the schedules, or those of a kind, by name, page by page."""
    kinds = await living_kinds(opened.backend)
    after: str | None = None
    while True:
        page = await opened.schedules.find(kind=kind, limit=_PAGE, after=after)
        yield [row_of(record, page.now, kinds) for record in page.schedules]
        after = page.after
        if after is None:
            return


def schedule_json(row: Row) -> dict[str, object]:
    """Return a schedule as `--json` writes it: times in UTC, durations in seconds."""
    record, rule = row.record, row.rule
    return {
        "name": record.name,
        "kind": record.kind,
        "when": None if rule is None else row.when,
        "state": row.state,
        "declared": record.declared,
        "kind_known": row.known,
        "last": iso(record.last_tick) or None,
        "next": iso(record.next_tick) or None,
        "due": iso(record.due_at) or None,
        "lag": row.lag / SECOND,
        "fired_at": iso(record.fired_at) or None,
        "last_job": record.last_job,
        **(_NO_RULE if rule is None else _rule_json(rule)),
        "paused_until": iso(record.paused_until) or None,
        "by": record.by,
        "reason": record.reason,
        "created_at": iso(record.created_at),
        "changed_at": iso(record.changed_at),
    }


def _rule_json(rule: Rule) -> dict[str, object]:
    return {
        "zone": rule.tz,
        "start": iso(rule.start) or None,
        "end": iso(rule.end) or None,
        "exclude": [day.isoformat() for day in rule.exclude],
        "misfire": rule.misfire,
        "catch_up": rule.catch_up / SECOND,
        "overlap": rule.overlap,
        "jitter": rule.jitter / SECOND,
        "tolerance": rule.tolerance / SECOND,
    }


_NO_RULE: Mapping[str, object] = dict.fromkeys(
    ("zone", "start", "end", "exclude", "misfire", "catch_up", "overlap", "jitter", "tolerance")
)


def _cells(row: Row) -> tuple[str, ...]:
    record = row.record
    when = row.when if len(row.when) <= _WHEN else f"{row.when[: _WHEN - 1]}…"
    moments = (_off(record.last_tick, row.now), _off(record.next_tick, row.now))
    lag = about(row.lag) if row.lag else ""
    return (record.name, record.kind, when, row.state, *moments, lag, _overlap(row), "; ".join(row.troubles))


def _fields(row: Row) -> tuple[str, ...]:
    record = row.record
    return (
        *(record.name, record.kind, row.when, row.state, "code" if record.declared else "put"),
        *(iso(record.last_tick), iso(record.next_tick), short(row.lag), _overlap(row)),
        *(iso(record.fired_at), record.last_job or "", iso(record.paused_until), record.by or "", record.reason or ""),
        "" if row.known else f"waits for a node that knows {record.kind}",
    )


def _off(at: int | None, now: int) -> str:
    return "" if at is None else ago(at, now)


def _overlap(row: Row) -> str:
    return "" if row.rule is None else row.rule.overlap


SCHEDULES: View[Row] = View(
    titles=("SCHEDULE", "KIND", "WHEN", "STATE", "LAST", "NEXT", "LAG", "OVERLAP", "NOTE"),
    cells=_cells,
    fields=_fields,
    value=schedule_json,
    spare=(7, 1, 4),
)
