"""Walking those who ended, the last first, by the index of their ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.redis import packing
from backburner.backends.redis.walking import STEP
from backburner.backends.timing import NEVER, read_end
from backburner.model.query import JobFilter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from backburner.backends.redis.session import Session
    from backburner.model.job import JobRecord, JobState

__all__ = ["walk_ended"]


async def walk_ended(
    session: Session, state: JobState, where: JobFilter, *, within: int, after: str | None, few: int
) -> AsyncGenerator[tuple[int, list[JobRecord]]]:
    """Bring the jobs among which all are that match and ended of late, below ``after``: at first ``few``, then in steps.

    Of their records there is no more than a filter and a timing need. With each step comes the store's now.
    """
    front = packing.LETTERS[state].encode()
    moment, before = read_end(after)
    highest = b"(" + front + packing.eight(moment) + before.encode()
    whole = 0 if _is_brief(where) else 1
    step = min(STEP, max(1, few))
    while True:
        now, *answer = await session.scripts.read(
            "read_timings", session.keys.tables, (min(within, NEVER), highest, step, whole)
        )
        members: list[bytes] = answer[::3]
        rows = zip(members, answer[1::3], answer[2::3], strict=True)
        yield now, [packing.record(member[len(front) + 8 :].decode(), job, run) for member, job, run in rows]
        if len(members) < step:
            return
        highest, step = b"(" + members[-1], STEP


def _is_brief(where: JobFilter) -> bool:
    """Tell whether a filter looks at nothing but what every timing brings."""
    others = msgspec.structs.replace(
        where, kinds=(), queues=(), states=(), since=None, until=None, prefix="", ended_before=None
    )
    return others == JobFilter()
