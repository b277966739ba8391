"""Which jobs of a store matter to its successor, and as what they arrive there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.keys import held_key
from backburner.model.job import UNIQUE_GATE, Attempt, Ending, JobImage, JobState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from backburner.ports.jobs import JobReader

__all__ = ["Chosen", "chosen", "without_key"]

#: Jobs a page, at most: one read, and one write.
_PAGE = 500
#: Characters that a write holds, about, unless one job alone has more; and a read too, as far as can be foretold.
_SIZE = 8_000_000
#: Jobs of the first page, which tells how long they are.
_FEW = 50
_LIVE = frozenset({JobState.PENDING, JobState.RUNNING})


class Chosen(msgspec.Struct, frozen=True):
    """A page of a store: how many jobs were looked at, and those of them that are carried, as they are to arrive."""

    now: int
    looked_at: int
    jobs: tuple[JobImage, ...]


async def chosen(reader: JobReader, *, everything: bool) -> AsyncIterator[Chosen]:
    """Go through a store, smallest id first.

    Carried is what still waits or runs, what is dead, and of the other ended jobs those whose unique key is still held,
    and the children of a parent that may run again and would look for them; ``everything`` is every one.
    """
    after, limit = None, min(_FEW, _PAGE)
    while True:
        page = await reader.export(limit=limit, after=after)
        parents = frozenset[str]() if everything else await _live_parents(reader, page.jobs)
        jobs = tuple(
            _settled(image, page.now)
            for image in page.jobs
            if everything or _matters(image, page.now) or image.record.parent in parents
        )
        for part, looked_at in _parts(jobs, len(page.jobs)):
            yield Chosen(page.now, looked_at, part)
        if page.after is None:
            return
        after = page.after
        limit = max(1, min(_PAGE, _SIZE * len(page.jobs) // sum(map(_length, page.jobs))))


def without_key(image: JobImage) -> JobImage:
    """Return a job as it stands where another holds its key: one that waits, at the key's gate; one that ended, as it is."""
    if image.record.state is JobState.PENDING:
        gate = UNIQUE_GATE + (image.record.unique or "")
        return msgspec.structs.replace(image, record=msgspec.structs.replace(image.record, gate=gate))
    return msgspec.structs.replace(image, unique_states=(), unique_until=None)


def _parts(images: tuple[JobImage, ...], looked_at: int) -> Iterator[tuple[tuple[JobImage, ...], int]]:
    """Split a page of which so many were looked at into what a write holds; all were looked at once the last is done."""
    begin = size = 0
    for position, image in enumerate(images):
        size += _length(image)
        if size > _SIZE and position > begin:
            yield images[begin:position], 0
            begin, size = position, _length(image)
    yield images[begin:], looked_at


def _length(image: JobImage) -> int:
    """Return about how many characters a job has."""
    job = image.record
    long = sum(len(text) for text in (job.args, job.result, job.checkpoint, job.headers) if text is not None)
    return 200 + long + sum(200 + len(attempt.message) + len(attempt.traceback) for attempt in image.history)


def _matters(image: JobImage, now: int) -> bool:
    state = image.record.state
    return state in _LIVE or state is JobState.DEAD or held_key(image, now) is not None


async def _live_parents(reader: JobReader, images: Iterable[JobImage]) -> frozenset[str]:
    """Return the parents, of those of these jobs that would not be carried otherwise, that are not final."""
    asked = {image.record.parent for image in images if image.record.state not in _LIVE} - {None}
    if not asked:
        return frozenset()
    page = await reader.get([parent for parent in asked if parent is not None])
    return frozenset(job.id for job in page.jobs if job.state in _LIVE)


def _settled(image: JobImage, now: int) -> JobImage:
    """Return a running job as if its node had given it back on its way out; any other as it is."""
    job = image.record
    if job.state is not JobState.RUNNING:
        return image
    attempt = Attempt(
        attempt=job.attempt,
        ending=Ending.INTERRUPTED,
        node=job.node or "",
        started_at=job.started_at or now,
        ended_at=now,
    )
    # Whoever asked for its end gets it, as when a node gives a job back.
    asked = image.asked is not None
    record = msgspec.structs.replace(
        job,
        state=JobState.CANCELLED if asked else JobState.PENDING,
        reason=image.asked if asked else job.reason,
        ended_at=now if asked else None,
        interruptions=job.interruptions + 1,
        cancel=False,
    )
    return msgspec.structs.replace(image, record=record, asked=None, history=(*image.history, attempt))
