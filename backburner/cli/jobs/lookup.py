"""Jobs by id, or by the beginning of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.exits import Exit, Failed
from backburner.cli.jobs.record import state_of
from backburner.cli.render import safe
from backburner.cli.times import ago
from backburner.model.query import JobFilter

if TYPE_CHECKING:
    from backburner.model.job import JobRecord
    from backburner.ports.jobs import JobReader, Page

__all__ = ["look_up"]

#: Jobs that a refusal names.
_NAMED = 5


async def look_up(reader: JobReader, given: str) -> Page:
    """Return the job of this id, or the only one whose id begins so; ends the command when there are several."""
    exact = await reader.get([given])
    if exact.jobs:
        return exact
    if not given:
        raise Failed("an empty text is no id: every id begins so", Exit.REFUSED)
    page = await reader.find(JobFilter(prefix=given), limit=_NAMED)
    if len(page.jobs) > 1:
        some = "\n".join(_line(job, page.now) for job in page.jobs)
        more = "\n  …" if page.after else ""
        raise Failed(
            f"several ids begin with {safe(given)}: write more of the one you mean\n{some}{more}", Exit.REFUSED
        )
    return page


def _line(job: JobRecord, now: int) -> str:
    """Write of a job what tells it from others."""
    return f"  {job.id}  {safe(job.kind)}  {state_of(job, now)}  created {ago(job.created_at, now)}"
