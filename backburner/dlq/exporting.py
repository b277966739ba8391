"""Whole dead letters out of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from backburner.model.query import JobFilter, Shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from backburner.model.job import JobImage
    from backburner.ports.jobs import JobReader

__all__ = ["exported"]

#: Jobs a page: few, since their histories may be long.
_PAGE: Final = 100


async def exported(
    reader: JobReader, where: JobFilter, ids: Sequence[str], limit: int | None
) -> AsyncIterator[JobImage]:
    """Go through the letters that match, or those of these ids, smallest id first; the newest ``limit``."""
    if ids:
        for job_id in sorted(set(ids)):
            # An id is the first of all that begin with it.
            found = await reader.export(limit=1, where=JobFilter(prefix=job_id, states=(Shown.DEAD,)))
            for image in found.jobs:
                if image.record.id == job_id:
                    yield image
        return
    now = (await reader.get(())).now
    # What dies meanwhile is left for another time.
    where = msgspec.structs.replace(
        where, ended_before=min(now, now if where.ended_before is None else where.ended_before)
    )
    oldest = "" if limit is None else await _oldest(reader, where, limit)
    after = None
    while True:
        page = await reader.export(limit=_PAGE, after=after, where=where)
        for image in page.jobs:
            if image.record.id >= oldest:
                yield image
        after = page.after
        if after is None:
            return


async def _oldest(reader: JobReader, where: JobFilter, limit: int) -> str:
    """Return the smallest id of the newest ``limit``; empty where there are not so many."""
    after, left = None, limit
    while True:
        page = await reader.find(where, limit=min(left, 1_000), after=after)
        left -= len(page.jobs)
        if not left:
            return page.jobs[-1].id
        after = page.after
        if after is None:
            return ""
