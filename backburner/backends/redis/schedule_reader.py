"""Reads of schedules and of the ledger, in Redis."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from backburner.backends.redis import ticking
from backburner.backends.redis.walking import STEP
from backburner.ports.schedules import Schedules, Ticks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from backburner.backends.redis.session import Session
    from backburner.model.schedule import Outcome, ScheduleRecord, TickRecord

__all__ = ["RedisScheduleReader"]

#: Names of one read in one script.
_NAMES = 1000


class RedisScheduleReader:
    """A `ScheduleReader`. What no index has the answer to is walked in steps and looked at here: others go in between."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, names: Collection[str]) -> Schedules:
        """Return those of these names that exist, by name."""
        wanted = sorted({*names})
        found: list[ScheduleRecord] = []
        now = 0
        for start in range(0, len(wanted) or 1, _NAMES):
            some = map(ticking.text, wanted[start : start + _NAMES])
            now, *values = await self._session.scripts.read("read_schedules", (self._session.keys.schedules,), (*some,))
            found += (ticking.schedule(value) for value in values if value is not None)
        return Schedules(now, tuple(found))

    async def find(
        self, *, declared: bool | None = None, kind: str | None = None, limit: int, after: str | None = None
    ) -> Schedules:
        """Return schedules by name, above ``after``."""
        found: list[ScheduleRecord] = []
        now: int | None = None
        # One more than asked for tells whether there is a next page.
        async with aclosing(self._walk(after, limit + 1)) as steps:
            async for at, schedules in steps:
                now = at if now is None else now
                found += (
                    each
                    for each in schedules
                    if (declared is None or each.declared is declared) and (kind is None or each.kind == kind)
                )
                if len(found) > limit:
                    break
        page = tuple(found[:limit])
        return Schedules(now or 0, page, page[-1].name if page and len(found) > limit else None)

    async def ticks(
        self,
        *,
        schedule: str | None = None,
        outcomes: Collection[Outcome] = (),
        since: int | None = None,
        until: int | None = None,
        limit: int,
        after: str | None = None,
    ) -> Ticks:
        """Return lines of the ledger, greatest id first, below ``after``."""
        found: list[TickRecord] = []
        now: int | None = None
        # One more than asked for tells whether there is a next page.
        async with aclosing(self._walk_ledger(schedule, after, limit + 1)) as steps:
            async for at, lines in steps:
                now = at if now is None else now
                found += (
                    each
                    for each in lines
                    if (not outcomes or each.outcome in outcomes)
                    and (since is None or each.last >= since)
                    and (until is None or each.tick < until)
                )
                if len(found) > limit:
                    break
        page = tuple(found[:limit])
        return Ticks(now or 0, page, page[-1].id if page and len(found) > limit else None)

    async def _walk(self, after: str | None, few: int) -> AsyncGenerator[tuple[int, list[ScheduleRecord]]]:
        """Bring schedules by name, those above ``after``: at first ``few``, then in steps."""
        keys = self._session.keys
        lowest = b"-" if after is None else b"(" + ticking.text(after)
        step = min(STEP, max(1, few))
        while True:
            now, *values = await self._session.scripts.read(
                "read_schedules", (keys.schedules, keys.named), (lowest, step)
            )
            found = [*map(ticking.schedule, values)]
            yield now, found
            if len(found) < step:
                return
            lowest, step = b"(" + ticking.text(found[-1].name), STEP

    async def _walk_ledger(
        self, schedule: str | None, after: str | None, few: int
    ) -> AsyncGenerator[tuple[int, list[TickRecord]]]:
        """Bring lines, of one schedule or of all, greatest id first, those below ``after``: at first ``few``, then in steps."""
        keys = self._session.keys
        index, front, highest, lowest = keys.ledger, b"", b"+", b"-"
        if schedule is not None:
            name = ticking.text(schedule)
            index, front = keys.lines, name + b"\0"
            highest, lowest = b"(" + name + b"\1", b"[" + front
        if after is not None:
            highest = b"(" + front + ticking.text(after)
        step = min(STEP, max(1, few))
        while True:
            now, *answer = await self._session.scripts.read(
                "read_ticks", (index, keys.ticks), (highest, lowest, step, len(front))
            )
            members: list[bytes] = answer[::2]
            rows = zip(members, answer[1::2], strict=True)
            yield now, [ticking.tick(member[len(front) :].decode(), value) for member, value in rows]
            if len(members) < step:
                return
            highest, step = b"(" + members[-1], STEP
