"""Jobs on their way in: groups as the documents of their function, and its answers as those of the port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.content import job_flaw
from backburner.backends.postgres.failures import is_locked
from backburner.errors import StoreBusy, StoreError, StoreRefused
from backburner.ports.jobs import Enqueued, GroupAnswer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    from backburner.model.job import NewJob
    from backburner.ports.jobs import Birth

    Call: TypeAlias = Callable[[bytes], Awaitable[str]]
    Groups: TypeAlias = Sequence[Sequence[NewJob]]

__all__ = ["MOST_KEYS", "Part", "alone", "document_of", "enqueue", "flaw_of", "lanes_of", "portions"]

_STORED = GroupAnswer()
#: Each unique key takes a place in the server's table of locks until its transaction ends, and that has some thousands.
MOST_KEYS = 500


class Part(msgspec.Struct):
    """What became of one part of a write; positions count from 1."""

    born: tuple[int, ...] = ()
    known: tuple[int, ...] = ()
    #: By position.
    holders: dict[int, str] = {}
    #: Groups, by number.
    busy: tuple[int, ...] = ()
    refused: str | None = None
    why: str = ""


class _Answer(msgspec.Struct):
    now: int
    parts: list[Part]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Answer, strict=False).decode


async def enqueue(
    groups: Groups, birth: Birth | None, now: int | None, call: Call, *, careful: bool = False
) -> Enqueued:
    """Store groups by ``call``, at first all in one; ``careful`` from the start where an error must end nothing.

    A write of very many unique keys is several, of whole groups.
    """
    answers: list[GroupAnswer] = []
    moment = 0
    for part in portions(groups):
        try:
            enqueued = await _enqueue(part, birth, now, call, careful=careful)
        except StoreError as error:
            if answers and not careful:
                # What went before is stored.
                error.stored = "unknown"
            raise
        moment = enqueued.now
        answers += enqueued.groups
    return Enqueued(moment, tuple(answers))


async def _enqueue(groups: Groups, birth: Birth | None, now: int | None, call: Call, *, careful: bool) -> Enqueued:
    # In a caller's transaction no lane may be locked, so nobody is put behind those who stand there.
    lanes = [] if careful else lanes_of([job for group in groups for job in group])
    if not careful:
        try:
            return await _together(groups, birth, now, call, lanes)
        except (StoreRefused, UnicodeEncodeError):
            # Of its content, or since an id was stored before, which is no fault: each group then stands for itself.
            pass
        except StoreBusy as error:
            if not is_locked(error):
                raise
    return await _apart(groups, birth, now, call, lanes)


def lanes_of(jobs: Sequence[NewJob]) -> list[str]:
    """Return the lanes that jobs name."""
    return [*{lane for job in jobs if job.lanes for lane in job.lanes}]


async def _together(groups: Groups, birth: Birth | None, now: int | None, call: Call, lanes: Sequence[str]) -> Enqueued:
    document = {"now": now, "node": birth.node if birth else None, **document_of(groups, birth)}
    if lanes:
        document["lanes"] = lanes
    answer = _decode(await call(_encode(document)))
    (found,) = answer.parts
    if not (found.born or found.known or found.holders or found.busy):
        return Enqueued(answer.now, (_STORED,) * len(groups))
    return Enqueued(answer.now, tuple(_answers(groups, found)))


async def _apart(groups: Groups, birth: Birth | None, now: int | None, call: Call, lanes: Sequence[str]) -> Enqueued:
    """Store each group for itself, in one transaction all the same."""
    refused = {number: flaw for number, group in enumerate(groups) if (flaw := flaw_of(group, now or 0)) is not None}
    good = [[group] for number, group in enumerate(groups) if number not in refused]
    document: dict[str, object] = {
        "now": now,
        "node": birth.node if birth else None,
        "parts": [document_of(each, birth) for each in good],
    }
    if lanes:
        document["lanes"] = lanes
    answer = _decode(await call(_encode(document)))
    parts = iter(zip(good, answer.parts, strict=True))
    answers = [
        GroupAnswer(refused=refused[number]) if number in refused else alone(*next(parts))
        for number in range(len(groups))
    ]
    return Enqueued(answer.now, tuple(answers))


def flaw_of(group: Sequence[NewJob], now: int) -> str | None:
    """Say what cannot even be sent; the rest is the server's to say."""
    for job in group:
        flaw = job_flaw(job, now)
        if flaw is not None:
            return f"job {job.id!r}: {flaw}"
    return None


def alone(groups: Groups, part: Part) -> GroupAnswer:
    """Return what became of the only group of a part."""
    if part.refused is not None:
        return GroupAnswer(refused=f"{part.why} (SQLSTATE {part.refused})")
    (answer,) = _answers(groups, part)
    return answer


def portions(groups: Groups) -> list[Groups]:
    """Return the groups in runs of not too many unique keys."""
    keys = [sum([job.unique is not None for job in group]) for group in groups]
    if sum(keys) <= MOST_KEYS:
        return [groups]
    portions: list[list[Sequence[NewJob]]] = [[]]
    taken = 0
    for group, count in zip(groups, keys, strict=True):
        if portions[-1] and taken + count > MOST_KEYS:
            portions.append([])
            taken = 0
        portions[-1].append(group)
        taken += count
    return list(portions)


def document_of(groups: Groups, birth: Birth | None) -> dict[str, object]:
    """Return groups as a document: those to be looked at one by one, up to the last such, and the rest."""
    offered = birth.tokens if birth is not None else {}
    jobs = [job for group in groups for job in group]
    special = [
        number
        for number, job in enumerate(jobs)
        if job.unique is not None or job.parent is not None or job.id in offered
    ]
    if not special:
        return {"tail": jobs} if jobs else {}
    owners = [number for number, group in enumerate(groups) for _ in group]
    cut = special[-1] + 1
    # A group with a unique key may have to be left out whole.
    if any(job.unique is not None for job in groups[owners[cut - 1]]):
        while cut < len(jobs) and owners[cut] == owners[cut - 1]:
            cut += 1
    part: dict[str, object] = {"head": jobs[:cut], "owners": owners[:cut]}
    if cut < len(jobs):
        part["tail"] = jobs[cut:]
    if offered:
        part["tokens"] = [offered.get(job.id, 0) for job in jobs[:cut]]
    return part


def _answers(groups: Groups, part: Part) -> list[GroupAnswer]:
    """Return what became of each group."""
    born, known, holders, busy = set(part.born), set(part.known), part.holders, set(part.busy)
    answers: list[GroupAnswer] = []
    position = 0
    for number, group in enumerate(groups):
        places = range(position + 1, position + 1 + len(group))
        position += len(group)
        if number in busy:
            answers.append(GroupAnswer(busy=True))
            continue
        named = list(zip(places, group, strict=True))
        answer = GroupAnswer(
            born=tuple([job.id for place, job in named if place in born]),
            duplicates=tuple([job.id for place, job in named if place in known]),
            holders={job.id: holders[place] for place, job in named if place in holders},
        )
        answers.append(answer if answer.born or answer.duplicates or answer.holders else _STORED)
    return answers
