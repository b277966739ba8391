"""What becomes of a schedule that is due: which ticks fire, which are skipped and why, and when it is due next. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backburner.model.schedule import ScheduleRecord
    from backburner.scheduler.agenda import Agenda

__all__ = ["MERGED", "MISSED", "OVERLAP", "PAUSED", "Plan", "Skip", "plan"]

#: Why a tick was skipped: its time had passed; a later one fires in its place; its predecessor's job has not ended; the
#: schedule was paused.
MISSED = "missed"
MERGED = "merged"
OVERLAP = "overlap"
PAUSED = "paused"

#: Ticks that are gone through one by one. Of more, the newest are found by searching, and the others are not counted.
_COUNTED = 250


@dataclass(frozen=True, slots=True)
class Skip:
    """Ticks in a row that do not fire; a ``count`` of 0: very many, not counted."""

    first: int
    last: int
    count: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a schedule is to do now."""

    #: The ticks that fire, in order.
    fires: tuple[int, ...] = ()
    skips: tuple[Skip, ...] = ()
    #: The job of an earlier tick is to be cancelled first.
    replaces: bool = False
    #: A pause is over.
    resumes: bool = False
    #: The last tick decided upon, here or before.
    last_tick: int | None
    next_tick: int | None
    due_at: int | None


@dataclass(frozen=True, slots=True)
class _Past:
    """Ticks whose time has come: the newest few, and how many came before those."""

    newest: tuple[int, ...]
    first: int
    #: Of all; 0: very many.
    count: int
    #: The last of those before the newest.
    before: int | None


def plan(record: ScheduleRecord, agenda: Agenda, *, now: int, unended: bool) -> Plan:
    """Decide what a schedule does now; ``unended``: its last job has not ended. Moments are microseconds.

    No tick is ever decided upon twice: the next is always later than the last that was.
    """
    resumes = record.paused and record.paused_until is not None and record.paused_until <= now
    if record.paused and not resumes:
        return Plan(last_tick=record.last_tick, next_tick=record.next_tick, due_at=record.paused_until)
    skips: list[Skip] = []
    first: int | None = record.next_tick
    last = record.last_tick
    if first is not None and resumes and record.paused_until is not None:
        missed = _past(first, agenda, record.paused_until, 1)
        if missed is not None:
            last = missed.newest[-1]
            skips.append(Skip(missed.first, last, missed.count, PAUSED))
            first = agenda.after(last)
    past = None if first is None else _past(first, agenda, now, max(agenda.rule.catch_most, 1))
    if past is None:
        return Plan(skips=tuple(skips), resumes=resumes, last_tick=last, next_tick=first, due_at=_due(agenda, first))
    last = past.newest[-1]
    chosen = _chosen(past.newest, agenda, now)
    overlap = agenda.rule.overlap
    if overlap == "replace":
        # The last takes the place of all before it.
        chosen = chosen[-1:]
    stands = unended and bool(chosen)
    stopped = overlap == "skip" and stands
    unfit = past.newest[: len(past.newest) - len(chosen)]
    passed = unfit[-1] if unfit else past.before
    if stopped:
        # What it would have stood in for, nothing does.
        skips.append(Skip(past.first, last, past.count, OVERLAP))
    elif passed is not None:
        count = past.count and past.count - len(chosen)
        skips.append(Skip(past.first, passed, count, MERGED if chosen else MISSED))
    following = agenda.after(last)
    return Plan(
        fires=() if stopped else chosen,
        skips=tuple(skips),
        replaces=overlap == "replace" and stands,
        resumes=resumes,
        last_tick=last,
        next_tick=following,
        due_at=_due(agenda, following),
    )


def _due(agenda: Agenda, tick: int | None) -> int | None:
    return None if tick is None else agenda.due(tick)


def _chosen(newest: tuple[int, ...], agenda: Agenda, now: int) -> tuple[int, ...]:
    """Return which of the newest ticks may fire: the last ones, as far back as all are young enough."""
    rule = agenda.rule
    longest = max(rule.catch_up if rule.catch_most else 0, rule.tolerance)
    young = takewhile(lambda tick: now - agenda.due(tick) <= longest, reversed(newest))
    return tuple(young)[::-1]


def _past(first: int, agenda: Agenda, now: int, most: int) -> _Past | None:
    """Return the ticks from ``first`` on whose time to fire has come: the newest ``most`` of them."""
    newest: deque[int] = deque(maxlen=most)
    before: int | None = None
    count = 0
    tick: int | None = first
    while tick is not None and agenda.due(tick) <= now:
        if len(newest) == most:
            before = newest[0]
        newest.append(tick)
        count += 1
        if before is not None and count >= _COUNTED:
            # There may be none after this one.
            found = [before, *newest, *_search(first, tick, agenda, now, most + 1)]
            return _Past(tuple(found[-most:]), first, 0, found[-most - 1])
        tick = agenda.after(tick)
    return _Past(tuple(newest), first, count, before) if newest else None


def _search(first: int, tick: int, agenda: Agenda, now: int, most: int) -> list[int]:
    """Return the newest ``most`` after ``tick`` whose time to fire has come, of very many."""
    last = _last(agenda, tick, now)
    if last > tick and agenda.due(last) > now:
        last = _last(agenda, tick, last - 1)
    found: deque[int] = deque()
    # How far they were apart so far: where the one before is looked for first.
    gap = max(1, (tick - first) // _COUNTED)
    while last > tick and len(found) < most:
        found.appendleft(last)
        near = agenda.after(max(tick, last - 2 * gap) - 1)
        before = _last(agenda, tick if near is None or near >= last else near, last - 1)
        gap, last = last - before, before
    return list(found)


def _last(agenda: Agenda, tick: int, until: int) -> int:
    """Return the last tick up to a moment, from one of before on: by halving the time in which it may be."""
    while True:
        following = agenda.after(tick)
        if following is None or following > until:
            return tick
        middle = (following + until) // 2
        later = agenda.after(middle)
        if later is not None and later <= until:
            tick = later
        else:
            # None comes after the middle, so it is not looked at again.
            tick, until = following, middle
