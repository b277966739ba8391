"""The schedule store, in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.content import change_flaw, events_flaw
from backburner.backends.redis import packing, sending, ticking
from backburner.backends.redis.portions import in_portions
from backburner.ports.backend import Hint
from backburner.ports.schedules import ChangeAnswer, Changed, Due

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.redis.session import Session
    from backburner.model.event import NewEvent
    from backburner.model.schedule import ScheduleChange

__all__ = ["RedisScheduleStore"]

_LAST_VERSION = (1 << 63) - 1
_DONE = ChangeAnswer()
_OUTRUN = ChangeAnswer(outrun=True)


class RedisScheduleStore:
    """A `ScheduleStore`: every verb is one script, but for very many changes."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def due(self, limit: int) -> Due:
        """Return the schedules that are due, the earliest ``limit``."""
        keys = self._session.keys
        now, following, *found = await self._session.scripts.read(
            "read_due", (keys.coming, keys.schedules, keys.jobs, keys.runs), (max(0, limit),)
        )
        schedules = tuple(map(ticking.schedule, found[::2]))
        next_due = None if following is None else ticking.schedule(following).due_at
        return Due(
            now=now,
            schedules=schedules,
            unended=frozenset(
                schedule.name for schedule, is_unended in zip(schedules, found[1::2], strict=True) if is_unended
            ),
            wait=None if next_due is None else max(0, next_due - now),
        )

    async def change(self, changes: Sequence[ScheduleChange]) -> Changed:
        """Write schedules, ticks and jobs: of very many changes in portions, since others wait for a script to end."""
        changed = await in_portions(changes, _size, self._change)
        return Changed(changed[-1].now, tuple(answer for portion in changed for answer in portion.changes))

    async def _change(self, changes: Sequence[ScheduleChange]) -> Changed:
        keys = self._session.keys
        now = self._session.clock.now()
        flaws = [change_flaw(change, now) or events_flaw(change.events) for change in changes]
        args = [
            arg for change, flaw in zip(changes, flaws, strict=True) if flaw is None for arg in ticking.change(change)
        ]
        answered, *made = await self._session.scripts.run(
            "schedules_change", (*keys.tables, *keys.scheduling), (keys.hints, Hint.CONTROL, *args)
        )
        answers = map(_answer, made)
        return Changed(
            packing.number(answered),
            tuple([next(answers) if flaw is None else ChangeAnswer(refused=flaw) for flaw in flaws]),
        )

    async def remove(self, name: str, version: int, events: Sequence[NewEvent] = ()) -> bool:
        """Delete a schedule of that version."""
        if not 0 < version <= _LAST_VERSION:
            return False
        keys = self._session.keys
        sent = (ticking.text(name), packing.eight(version), sending.events(events))
        return bool(await self._session.scripts.run("schedules_remove", (*keys.logging, *keys.scheduling), sent))


def _size(change: ScheduleChange) -> int:
    """Return how much a change writes."""
    return 1 + len(change.ticks) + len(change.jobs) + len(change.events)


def _answer(held: list[bytes] | None) -> ChangeAnswer:
    """Return what became of a change: nothing if it was outrun, else jobs and who holds their keys, in turn."""
    if held is None:
        return _OUTRUN
    if not held:
        return _DONE
    ids = [each.decode() for each in held]
    return ChangeAnswer(holders=dict(zip(ids[::2], ids[1::2], strict=True)))
