"""The ticks of one schedule: its trigger within its start, its end and its days, and when each fires."""

from __future__ import annotations

import functools
from datetime import timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING

from backburner.scheduler.rule import decode
from backburner.scheduler.timetable import Occurrence, timetable
from backburner.scheduler.zones import first_instant, local

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.scheduler.rule import Rule

__all__ = ["Agenda", "agenda"]

#: Rules that are kept ready.
_KEPT = 1_024


class Agenda:
    """The ticks of one schedule. Pure, but for the zones' rules. Moments are microseconds."""

    def __init__(self, name: str, rule: Rule) -> None:
        self.name = name
        self.rule = rule
        self._timetable = timetable(rule.trigger, name, rule.tz)
        self._days = frozenset(rule.exclude)

    def after(self, moment: int) -> int | None:
        """Return the first tick after a moment; None: there is none."""
        rule = self.rule
        if rule.start is not None and moment < rule.start:
            moment = rule.start - 1
        tick = self._timetable.after(moment)
        while tick is not None and (rule.end is None or tick < rule.end):
            if not self._days:
                return tick
            day = local(tick, rule.tz).date()
            if day not in self._days:
                return tick
            # Where clocks are put back over midnight, the day after begins before this one ends.
            tick = self._timetable.after(max(tick, first_instant(day + timedelta(days=1), rule.tz) - 1))
        return None

    def due(self, tick: int) -> int:
        """Return when a tick fires: itself, later by its own part of the jitter, which every node draws alike.

        It always fires before the next is due.
        """
        jitter = self.rule.jitter
        if not jitter:
            return tick
        following = self.after(tick)
        if following is not None:
            jitter = min(jitter, following - tick - 1)
        digest = blake2b(f"{self.name}\0{tick}".encode(), digest_size=8).digest()
        return tick + int.from_bytes(digest, "big") * (jitter + 1) // 2**64

    def upcoming(self, moment: int) -> Iterator[Occurrence]:
        """Go through what comes after a moment, with what does not run and why."""
        rule = self.rule
        if rule.start is not None and moment < rule.start:
            moment = rule.start - 1
        for occurrence in self._timetable.upcoming(moment):
            at = occurrence.tick
            if at is not None and rule.end is not None and at >= rule.end:
                return
            if occurrence.local.date() in self._days and at is not None:
                yield Occurrence(None, occurrence.local, occurrence.zone, "excluded")
            else:
                yield occurrence


@functools.lru_cache(_KEPT)
def agenda(name: str, rule: str) -> Agenda:
    """Return the ticks of a stored rule; raises `PayloadNotReadable`, or `InvalidSchedule` for a zone unknown here."""
    return Agenda(name, decode(rule))
