"""A schedule as a person and a program are told of it: all that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.render import Mode, one
from backburner.cli.schedules.block import block
from backburner.cli.schedules.coming import COMING
from backburner.cli.schedules.job import job_json, standing_of
from backburner.cli.schedules.record import schedule_json
from backburner.cli.schedules.tick import TICKS, tick_json
from backburner.cli.times import ago, iso
from backburner.codec.marks import masked
from backburner.model.duration import about

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.cli.schedules.coming import Coming
    from backburner.cli.schedules.record import Row
    from backburner.jobs.standing import Standing
    from backburner.model.schedule import TickRecord
    from backburner.scheduler.rule import Rule

__all__ = ["describe"]

#: Days that a line for a person names.
_DAYS = 10

_OVERLAPS = {
    "skip": "a tick whose predecessor's job has not ended is skipped",
    "allow": "jobs run beside each other",
    "queue": "jobs run one after another",
    "replace": "a tick cancels the job of the one before",
}


def describe(row: Row, ticks: Sequence[TickRecord], following: Sequence[Coming], how: Mode) -> None:
    """Write a schedule, the last lines of its ledger and what comes next."""
    standing = standing_of(row.record)
    fields = _fields(row, standing)
    if how is Mode.LINES:
        # Each of its own schedule.
        fields += [("tick", *TICKS.fields(tick)[1:]) for tick in ticks]
        fields += [("next", *COMING.fields(each)) for each in following]
    value = {
        **schedule_json(row),
        "job": job_json(standing),
        "ticks": [tick_json(tick) for tick in ticks],
        "following": [COMING.value(each) for each in following],
    }
    text = [
        *block("last ticks", [TICKS.cells(tick)[1:] for tick in ticks]),
        *block("next", [COMING.cells(each) for each in following]),
    ]
    one(how, value, fields, text=text)


def _fields(row: Row, standing: Standing | None) -> list[tuple[str, ...]]:
    """Return what is known of it, by name; what is not known is left out."""
    record, now = row.record, row.now
    known = {
        "name": record.name,
        "state": _state(row),
        "when": row.when,
        **({} if row.rule is None else _rule(row.rule, now)),
        "stands": "in code" if record.declared else "as a person put it",
        "kind": record.kind
        if row.known
        else f"{record.kind}, which no living node knows: its jobs wait for one that does",
        **(_job(standing) if standing else {"job": "another version of backburner wrote it"}),
        "last": _moment(record.last_tick, now),
        "fired": " ".join(filter(None, (_moment(record.fired_at, now), record.last_job))),
        "next": _moment(record.next_tick, now),
        "lag": about(row.lag) if row.lag else "",
        "created": _moment(record.created_at, now),
        "changed": _moment(record.changed_at, now),
    }
    return [(name, text) for name, text in known.items() if text]


def _state(row: Row) -> str:
    match row.state:
        case "paused":
            return f"paused{row.pause}"
        case "retired":
            return "retired: no living node declares it"
        case "ended":
            return "ended: it has no tick any more"
        case state:
            return state


def _rule(rule: Rule, now: int) -> dict[str, str]:
    days = ", ".join(day.isoformat() for day in rule.exclude[:_DAYS])
    more = len(rule.exclude) - _DAYS
    return {
        "zone": rule.tz,
        "starts": _moment(rule.start, now),
        "ends": _moment(rule.end, now),
        "excluded": f"{days} and {more:,} more" if more > 0 else days,
        "misfire": f"{rule.misfire}: {_misfire(rule)}",
        "overlap": f"{rule.overlap}: {_OVERLAPS[rule.overlap]}",
        "jitter": f"each tick fires up to {about(rule.jitter)} later" if rule.jitter else "",
    }


def _misfire(rule: Rule) -> str:
    missed = f"of ticks that are overdue by more than {about(rule.tolerance)}"
    if not rule.catch_most:
        return f"{missed} none fires"
    if rule.catch_most == 1:
        return f"{missed} the last fires, for all, if it is no older than {about(rule.catch_up)}"
    return f"{missed} the newest {rule.catch_most:,} fire, those no older than {about(rule.catch_up)}"


def _job(standing: Standing) -> dict[str, str]:
    job, said = standing.job, standing.said
    # What was not said of the schedule is the kind's own, by the code that fires.
    own = [name for name in ("queue", "priority") if name not in said]
    unless = f", unless its code says another {' or '.join(own)} by then" if own else ""
    return {
        "arguments": masked(job.args),
        "queue": f"{job.queue}, priority {job.priority}{unless}",
        "tags": ", ".join(job.tags),
        "unique key": "" if job.unique is None else job.unique.key,
    }


def _moment(at: int | None, now: int) -> str:
    return "" if at is None else f"{iso(at)} ({ago(at, now)})"
