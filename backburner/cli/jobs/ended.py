"""The jobs that ended within a while, whatever became of them, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from backburner.model.query import JobFilter
    from backburner.ports.jobs import JobReader, Timing

__all__ = ["ended"]

_FINAL = (JobState.COMPLETED, JobState.DEAD, JobState.CANCELLED)
#: Jobs a page.
_PAGE = 5_000


async def ended(
    reader: JobReader, where: JobFilter, *, within: int, limit: int
) -> AsyncGenerator[tuple[JobState, Timing]]:
    """Bring the newest ``limit`` jobs that match and ended within the last ``within`` microseconds, each with its state."""
    # Each state is a list of its own, in order; the next of all is the newest of their heads.
    lists = {state: _of(reader, state, where, within, limit) for state in _FINAL}
    heads = {state: job for state, jobs in lists.items() if (job := await anext(jobs, None)) is not None}
    for _ in range(limit):
        if not heads:
            return
        newest = max(heads, key=lambda state: heads[state].ended_at)
        yield newest, heads[newest]
        following = await anext(lists[newest], None)
        if following is None:
            del heads[newest]
        else:
            heads[newest] = following


async def _of(reader: JobReader, state: JobState, where: JobFilter, within: int, limit: int) -> AsyncGenerator[Timing]:
    after: str | None = None
    while True:
        page = await reader.timings(state, where, within=within, limit=min(limit, _PAGE), after=after)
        for job in page.jobs:
            yield job
        after = page.after
        if after is None:
            return
