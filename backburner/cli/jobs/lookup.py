"""Jobs by id, or by the beginning of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.exits import Exit, Failed
from backburner.model.query import JobFilter

if TYPE_CHECKING:
    from backburner.ports.jobs import JobReader, Page

__all__ = ["look_up"]


async def look_up(reader: JobReader, given: str) -> Page:
    """Return the job of this id, or the only one whose id begins so; ends the command when there are several."""
    exact = await reader.get([given])
    if exact.jobs:
        return exact
    page = await reader.find(JobFilter(prefix=given), limit=3)
    if len(page.jobs) > 1:
        some = ", ".join(job.id for job in page.jobs)
        raise Failed(f"{given} begins several ids: {some}{' …' if page.after else ''}", Exit.REFUSED)
    return page
