"""The letters that a step takes: the next ones that match, with the dead children that go back with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from backburner.dlq.state import REPLAY
from backburner.model.job import JobRecord, JobState
from backburner.model.query import JobFilter, Shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.dlq.state import Mark, State
    from backburner.ports.jobs import JobReader

__all__ = ["PORTION", "Portion", "gather"]

#: Letters that a step takes at most.
PORTION: Final = 1_000


class Portion(msgspec.Struct, frozen=True, kw_only=True):
    """Letters as they were found."""

    now: int
    letters: tuple[JobRecord, ...]
    #: How many of them were looked for, and did not come as a child of another or as one that had been locked.
    taken: int
    #: The next begin below it.
    after: str | None
    #: There are no others.
    whole: bool
    #: The one letter has more dead children than go with it.
    cut: bool


async def gather(reader: JobReader, action: str, state: State, size: int) -> Portion:
    """Find at most ``size`` letters, and at most `PORTION` with what comes along: what was locked, and dead children.

    A letter's dead children, theirs, and so on, are replayed in one step with it, for a parent that runs again looks for
    its children and would find them dead. A step that has no room for all of them takes half of the letters, and half of
    these; only of a single letter with more than fit some stay dead, which is counted.
    """
    page = await _next(reader, state, min(size, PORTION - len(state.busy)))
    busy = {job.id: job for job in await _still_dead(reader, state.busy)}
    letters = page.jobs
    while True:
        chosen = busy | {job.id: job for job in letters}
        all_fit = action != REPLAY or await _add_children(reader, chosen, letters, state.where.ended_before)
        if all_fit or (len(letters) == 1 and not busy):
            break
        letters = letters[: len(letters) // 2]
    rest = page.jobs[len(letters) :]
    return Portion(
        now=page.now,
        letters=tuple(chosen.values()),
        taken=len(letters),
        after=(letters[-1].id if letters else state.after) if rest else page.after,
        whole=page.whole and not rest,
        cut=not all_fit,
    )


class _Next(msgspec.Struct, frozen=True):
    now: int
    jobs: tuple[JobRecord, ...]
    after: str | None
    whole: bool


async def _next(reader: JobReader, state: State, size: int) -> _Next:
    """Return the next letters below the cursor, largest id first."""
    if state.whole or state.left == 0 or size <= 0:
        now = (await reader.get(())).now
        return _Next(now, (), state.after, state.whole or state.left == 0)
    size = size if state.left is None else min(size, state.left)
    if not state.ids:
        page = await reader.find(state.where, limit=size, after=state.after)
        return _Next(page.now, page.jobs, page.after, page.after is None or state.left == len(page.jobs))
    below = [job_id for job_id in state.ids if state.after is None or job_id < state.after]
    page = await reader.get(below[:size])
    before = state.where.ended_before
    dead = [job for job in page.jobs if job.state is JobState.DEAD and (before is None or (job.ended_at or 0) < before)]
    dead.sort(key=lambda job: job.id, reverse=True)
    return _Next(page.now, tuple(dead), below[size - 1] if len(below) > size else None, len(below) <= size)


async def _still_dead(reader: JobReader, marks: tuple[Mark, ...]) -> list[JobRecord]:
    if not marks:
        return []
    tokens = {mark.id: mark.token for mark in marks}
    jobs = (await reader.get(list(tokens))).jobs
    return [job for job in jobs if job.state is JobState.DEAD and job.token == tokens[job.id]]


async def _add_children(
    reader: JobReader, chosen: dict[str, JobRecord], parents: Sequence[JobRecord], before: int | None
) -> bool:
    """Add the dead descendants of some letters, a read a level, as many as a step takes; tell whether these are all."""
    while parents:
        where = JobFilter(parents=tuple(job.id for job in parents), states=(Shown.DEAD,), ended_before=before)
        level: list[JobRecord] = []
        after = None
        while True:
            page = await reader.find(where, limit=PORTION, after=after)
            found = [job for job in page.jobs if job.id not in chosen]
            room = PORTION - len(chosen)
            chosen |= {job.id: job for job in found[:room]}
            if len(found) > room:
                return False
            level += found
            after = page.after
            if after is None:
                break
        parents = level
    return True
