"""The store on one screen, for programs: one JSON object, or a fact a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.nodes.record import node_json, queues_line, state_of
from backburner.cli.replays.telling import progress_json
from backburner.cli.status.findings import advice, said
from backburner.cli.times import iso
from backburner.dlq.progress import progress_of
from backburner.model.clock import SECOND, instant
from backburner.observability.overview import Part
from backburner.resilience.rates import rate_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from backburner.model.node import KindRecord
    from backburner.observability.overview import BreakerSeen, Letters, Overview, QueueSeen

__all__ = ["overview_json", "overview_lines"]

_Line = tuple[str, str, str, str]

#: What of a queue is read by which part.
_PARTS: Mapping[Part, Collection[str]] = {
    Part.QUEUES: ("waiting", "running", "retrying", "scheduled", "held", "dead", "oldest"),
    Part.NODES: ("slots", "nodes"),
    Part.SETTINGS: ("slots", "paused"),
}


def overview_json(overview: Overview) -> dict[str, object]:
    """Return it as `--json` writes it: times in UTC, durations in seconds."""
    stored, wanted = overview.schema or (None, None)
    return {
        "store": overview.address,
        "schema": {"stored": stored, "wanted": wanted},
        "now": iso(overview.now),
        "clock_offset": overview.offset / SECOND,
        "nodes": [node_json(node) for node in overview.nodes],
        "lost": [{"id": lost.node, "host": lost.host, "at": iso(lost.at)} for lost in overview.lost],
        "queues": [{"name": queue.name, **_queue(queue, overview)} for queue in overview.queues],
        "dead": None if overview.letters is None else _letters(overview.letters),
        "kinds_paused": [{"name": kind.name, **_pause(kind)} for kind in overview.kinds],
        "kinds_unknown": overview.unknown,
        "breakers": [{"name": breaker.name, **_breaker(breaker)} for breaker in overview.breakers],
        "budgets_dry": [{"name": budget.name, "free_at": iso(budget.free_at)} for budget in overview.budgets],
        "schedules_late": [{"name": each.name, "due_at": iso(each.due_at)} for each in overview.overdue],
        "ticks_missed": None if overview.missed is None else overview.missed.ticks,
        "subscriptions_behind": {each.name: each.events for each in overview.slow},
        "operations": [progress_json(progress_of(each, overview.now)) for each in overview.operations],
        "findings": [{"code": each.trouble, "name": each.name, "text": each.text} for each in said(overview)],
        "next": advice(overview),
    }


def overview_lines(overview: Overview) -> Iterator[_Line]:
    """Return it as lines of four fields: what it is about, its name, what is told of it, and that."""
    yield from _store(overview)
    yield from _work(overview)
    yield from _guards(overview)
    yield from _rest(overview)
    for found in said(overview):
        yield "finding", found.trouble, found.name, found.text
    for number, step in enumerate(advice(overview), start=1):
        yield "next", str(number), "command", step


def _store(overview: Overview) -> Iterator[_Line]:
    stored, wanted = overview.schema or (None, None)
    told = {
        "schema": stored,
        "schema_wanted": wanted,
        "now": iso(overview.now),
        "clock_offset": overview.offset / SECOND,
    }
    yield from _each("store", overview.address, told)


def _work(overview: Overview) -> Iterator[_Line]:
    for node in overview.nodes:
        told = {"state": state_of(node), "host": node.host, "queues": queues_line(node)}
        yield from _each("node", node.id, told)
    for lost in overview.lost:
        yield from _each("lost", lost.node, {"host": lost.host, "at": iso(lost.at)})
    for queue in overview.queues:
        yield from _each("queue", queue.name, _queue(queue, overview))
    if overview.letters is not None:
        letters = overview.letters
        yield from _each("dead", "", {"recent": letters.recent, "total": letters.total})
        for cause in letters.causes:
            yield "dead", cause.fingerprint, "letters", str(cause.count)


def _guards(overview: Overview) -> Iterator[_Line]:
    for name, count in overview.unknown.items():
        yield "kind", name, "unknown", str(count)
    for kind in overview.kinds:
        yield from _each("kind", kind.name, {"paused": True, **_pause(kind)})
    for breaker in overview.breakers:
        yield from _each("breaker", breaker.name, _breaker(breaker))
    for budget in overview.budgets:
        yield "budget", budget.name, "free_at", iso(budget.free_at)


def _rest(overview: Overview) -> Iterator[_Line]:
    for schedule in overview.overdue:
        yield "schedule", schedule.name, "due_at", iso(schedule.due_at)
    for name, count in ({} if overview.missed is None else overview.missed.ticks).items():
        yield "schedule", name, "missed", str(count)
    for each in overview.slow:
        yield "subscription", each.name, "behind", str(each.events)
    for operation in overview.operations:
        yield operation.action, operation.id, "done", str(operation.done)


def _each(what: str, name: str, told: Mapping[str, object]) -> Iterator[_Line]:
    for field, value in told.items():
        yield what, name, field, _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _queue(queue: QueueSeen, overview: Overview) -> dict[str, object]:
    """Return what is known of a queue: None stands for what could not be read, too."""
    holds, record = queue.holds, queue.record
    told: dict[str, object] = {
        "waiting": holds.waiting,
        "running": holds.running,
        "slots": queue.slots,
        "nodes": queue.nodes,
        "retrying": holds.retrying,
        "scheduled": holds.scheduled,
        "held": holds.held,
        "dead": holds.dead,
        "oldest": iso(holds.oldest) or None,
        "done_last_minute": queue.done,
        "paused": record.paused,
        "paused_until": iso(record.paused_until) or None,
        "slots_each": record.slots,
        "rate": None if record.rate is None else rate_text(record.rate),
        "by": record.by,
        "reason": record.reason,
    }
    unread = {name for part, names in _PARTS.items() if part in overview.unread for name in names}
    return {name: None if name in unread else value for name, value in told.items()}


def _letters(letters: Letters) -> dict[str, object]:
    return {
        "recent": letters.recent,
        "total": letters.total,
        "causes": [
            {
                "fingerprint": cause.fingerprint or None,
                "letters": cause.count,
                "last": iso(cause.last),
                "error": cause.error,
            }
            for cause in letters.causes
        ],
        "more": letters.more,
    }


def _pause(kind: KindRecord) -> dict[str, object]:
    return {"paused_until": iso(kind.paused_until) or None, "by": kind.by, "reason": kind.reason}


def _breaker(breaker: BreakerSeen) -> dict[str, object]:
    return {
        "state": "opened" if breaker.forced else breaker.phase.replace("_", "-"),
        "since": None if breaker.since is None else iso(instant(breaker.since)),
        "until": None if breaker.until is None or breaker.forced else iso(instant(breaker.until)),
        "by": breaker.by,
        "reason": breaker.reason,
    }
