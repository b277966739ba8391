"""Schedules, lines of their ledgers and their jobs, changed together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.content import change_flaw
from backburner.backends.halving import Halving
from backburner.backends.sqlite.appending import write_events
from backburner.backends.sqlite.asking import find_asked
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.failures import Unstorable, is_content, why_refused
from backburner.backends.sqlite.inserting import store
from backburner.backends.sqlite.statements import load
from backburner.backends.sqlite.steps import run
from backburner.model.schedule import UNIQUE, Outcome
from backburner.ports.schedules import ChangeAnswer, Changed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from backburner.backends.sqlite.asking import Asked
    from backburner.model.event import NewEvent
    from backburner.model.schedule import ScheduleChange, ScheduleRecord, TickRecord

__all__ = ["change"]

_VERSIONS = load("schedule_versions")
_WRITE_SCHEDULES = load("write_schedules")
_WRITE_TICKS = load("write_ticks")

_DONE = ChangeAnswer()
_OUTRUN = ChangeAnswer(outrun=True)

_decode_versions = msgspec.json.Decoder(dict[str, tuple[int, int]]).decode


def change(connection: sqlite3.Connection, changes: Sequence[ScheduleChange], now: int) -> Changed:
    """Apply changes in their order, halving away those that are refused for their content."""
    answers = [_OUTRUN] * len(changes)
    asked = run(connection, find_asked())
    plan = Halving(len(changes))
    for part in plan:
        connection.execute("SAVEPOINT changes")
        try:
            answers[part.start : part.stop] = _apply(connection, changes[part.start : part.stop], asked, now)
        except Exception as error:
            if not is_content(error):
                raise
            connection.execute("ROLLBACK TO changes")
            if not plan.split(part):
                answers[part.start] = ChangeAnswer(refused=why_refused(error))
        connection.execute("RELEASE changes")
    return Changed(now, tuple(answers))


def _apply(
    connection: sqlite3.Connection, changes: Sequence[ScheduleChange], asked: Asked, now: int
) -> list[ChangeAnswer]:
    """Apply those changes that are not outrun, all or none: a statement for each table, however many they are."""
    heard = _hear(connection, changes)
    applied = [each for each, first in zip(changes, heard, strict=True) if first]
    if not applied:
        return [_OUTRUN] * len(changes)
    groups = run(connection, store([each.jobs for each in applied], None, now, asked))
    schedules: dict[str, tuple[object, ...]] = {}
    ticks: list[tuple[object, ...]] = []
    events: list[NewEvent] = []
    answers: list[ChangeAnswer] = []
    for each, group in zip(applied, groups, strict=True):
        holders = group.holders
        schedules[each.schedule.name] = _schedule_row(each.schedule, holders)
        ticks += [_tick_row(tick, holders, now) for tick in each.ticks]
        events += [event for event in each.events if event.job is None or (event.job in holders) is event.held]
        answers.append(ChangeAnswer(holders=holders) if holders else _DONE)
    if len(schedules) < len(applied):
        # Of several changes of one schedule the last is written; those before it could not be left out if they were refused.
        _check(applied, now)
    connection.execute(_WRITE_SCHEDULES, {"schedules": to_json([*schedules.values()]), "now": now})
    if ticks:
        connection.execute(_WRITE_TICKS, {"ticks": to_json(ticks)})
    if events:
        run(connection, write_events(events, asked, now))
    rest = iter(answers)
    return [next(rest) if first else _OUTRUN for first in heard]


def _hear(connection: sqlite3.Connection, changes: Sequence[ScheduleChange]) -> list[bool]:
    """Tell of each change whether it is made from what is stored, or from what the one before it leaves."""
    names = {each.schedule.name for each in changes}
    (found,) = connection.execute(_VERSIONS, {"names": to_json([*names])}).fetchone()
    versions = _decode_versions(found)
    heard: list[bool] = []
    for each in changes:
        name, version = each.schedule.name, each.schedule.version
        stored, created = versions.get(name, (0, 0))
        first = stored == version and (not version or each.schedule.created_at in {0, created})
        if first:
            versions[name] = version + 1, created
        heard.append(first)
    return heard


def _check(changes: Sequence[ScheduleChange], now: int) -> None:
    for each in changes:
        flaw = change_flaw(each, now)
        if flaw is not None:
            raise Unstorable(flaw)


def _schedule_row(record: ScheduleRecord, holders: Mapping[str, str]) -> tuple[object, ...]:
    last_job = record.last_job
    return (
        record.name,
        record.version + 1,
        record.kind,
        int(record.declared),
        int(record.retired),
        record.next_tick,
        record.due_at,
        record.last_tick,
        record.fired_at,
        last_job if last_job is None else holders.get(last_job, last_job),
        int(record.paused),
        record.paused_until,
        record.reason,
        record.by,
        record.rule,
        record.job,
    )


def _tick_row(tick: TickRecord, holders: Mapping[str, str], now: int) -> tuple[object, ...]:
    outcome, reason, job = tick.outcome, tick.reason, tick.job
    if job is not None and job in holders:
        outcome, reason, job = Outcome.SKIPPED, UNIQUE, holders[job]
    return (
        *(tick.id, tick.schedule, tick.tick, tick.last, tick.count),
        *(outcome, reason, job, tick.due_at, tick.at or now, tick.by, tick.note),
    )
