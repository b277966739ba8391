"""Walking jobs, newest id first, by whatever index comes nearest to what a filter asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.redis import packing
from backburner.model.query import Shown

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from backburner.backends.redis.keys import Keys
    from backburner.backends.redis.session import Session
    from backburner.model.job import JobImage, JobRecord
    from backburner.model.query import JobFilter

__all__ = ["STEP", "below", "children", "runs_of_a_node", "walk", "walk_whole"]

#: Jobs looked at in one script: a few milliseconds in which the server does nothing else.
STEP = 500

#: So many that wait are no longer looked at one by one: a walk from the newest job on soon meets some.
_CROWD = 20_000
_STANDING = frozenset({Shown.WAITING, Shown.SCHEDULED, Shown.RETRYING, Shown.RUNNING})
#: Bytes of a member between its names and its id: a priority, and a moment.
_PLACE = 9

#: No byte of UTF-8 is that high.
_LAST = b"\xff"


def runs_of_a_node(where: JobFilter) -> str | None:
    """Return the node of which a filter wants what it runs now; None where it asks for anything else."""
    return where.node if where.states == (Shown.RUNNING,) else None


def below(name: str) -> tuple[bytes, bytes]:
    """Return the bounds of the members that have a name and a NUL in front, as ranges of Redis have them."""
    front = name.encode()
    return b"[" + front + b"\0", b"(" + front + b"\1"


def _dead_only(where: JobFilter) -> bool:
    """Tell whether a filter asks for dead letters alone, of which there is an index."""
    return where.states == (Shown.DEAD,)


async def walk(
    session: Session, where: JobFilter, *, after: str | None, few: int
) -> AsyncGenerator[tuple[int, list[JobRecord]]]:
    """Bring the jobs among which all are that match, below ``after``: at first ``few``, then in steps.

    Others write in between; each job is brought once. With each step comes the store's now.
    """
    keys = session.keys
    index, front = _index(keys, where)
    highest, lowest = _range(front, where, after)
    step = min(STEP, max(1, few))
    while True:
        now, *answer = await session.scripts.read(
            "read_page", (index, keys.jobs, keys.runs), (highest, lowest, step, len(front))
        )
        members: list[bytes] = answer[::3]
        rows = zip(members, answer[1::3], answer[2::3], strict=True)
        # A job that was deleted since its parent's index was written is nobody.
        yield (
            now,
            [packing.record(member[len(front) :].decode(), job, run) for member, job, run in rows if job is not None],
        )
        if len(members) < step:
            return
        highest, step = b"(" + members[-1], STEP


async def walk_whole(
    session: Session, where: JobFilter | None, *, after: str | None, few: int
) -> AsyncGenerator[tuple[int, list[JobImage]]]:
    """Bring whole jobs among which all are that match, upwards, those above ``after``; otherwise as `walk` does."""
    keys = session.keys
    index = keys.dead if where is not None and _dead_only(where) else keys.ids
    prefix = b"" if where is None else where.prefix.encode()
    lowest, highest = b"[" + prefix, b"(" + prefix + _LAST
    if after is not None and after.encode() >= prefix:
        lowest = b"(" + after.encode()
    step = min(STEP, max(1, few))
    while True:
        now, *answer = await session.scripts.read(
            "read_export", (index, keys.jobs, keys.runs, keys.history), (lowest, highest, step)
        )
        ids: list[bytes] = answer[::4]
        rows = zip(ids, answer[1::4], answer[2::4], answer[3::4], strict=True)
        yield now, [packing.image(job_id.decode(), job, run, history) for job_id, job, run, history in rows]
        if len(ids) < step:
            return
        lowest, step = b"(" + ids[-1], STEP


async def children(session: Session, where: JobFilter, after: str | None) -> list[str]:
    """Return the ids of the children of several parents, below ``after``, greatest first."""
    found: list[str] = []
    fronts = [parent.encode() + b"\0" for parent in dict.fromkeys(where.parents)]
    ranges = {front: _range(front, where, after) for front in fronts}
    while fronts:
        some, rest = fronts[:STEP], fronts[STEP:]
        bounds = [bound for front in some for bound in ranges[front]]
        members: list[bytes] = await session.scripts.read("read_children", (session.keys.children,), (STEP, *bounds))
        found += (member.rpartition(b"\0")[2].decode() for member in members)
        if len(members) == STEP:
            # There may be more where the last one came from, and beyond.
            last = members[-1]
            front = last[: last.rindex(b"\0") + 1]
            ranges[front] = (b"(" + last, ranges[front][1])
            rest = fronts[fronts.index(front) :]
        fronts = rest
    return sorted(found, reverse=True)


def asks_for_standing(where: JobFilter) -> bool:
    """Tell whether a filter wants only what runs or waits, and not only what some parents have of it."""
    return bool(where.states) and _STANDING.issuperset(where.states) and not where.parents


async def standing(session: Session, where: JobFilter, after: str | None) -> list[str] | None:
    """Return the ids of all that run or wait, as is asked for, below ``after``, greatest first; None where they are many.

    No more run than nodes have slots: alone, these are never too many.
    """
    keys = session.keys
    places = [
        place
        for place in ((keys.line, 2, _PLACE), (keys.waiting, 1, _PLACE), (keys.parked, 2, _PLACE), (keys.held, 2, 0))
        if (Shown.RUNNING in where.states if place[0] == keys.held else where.states != (Shown.RUNNING,))
    ]
    most = -1 if where.states == (Shown.RUNNING,) else _CROWD
    found: list[list[bytes]] | None = await session.scripts.read(
        "read_standing", [place[0] for place in places], (most,)
    )
    if found is None:
        return None
    ids = (
        member.split(b"\0", names)[-1][before:].decode()
        for members, (_, names, before) in zip(found, places, strict=True)
        for member in members
    )
    return sorted((each for each in ids if after is None or each < after), reverse=True)


def _range(front: bytes, where: JobFilter, after: str | None) -> tuple[bytes, bytes]:
    """Return the highest and the lowest member of an index, of ids with that in front, as ranges of Redis have them."""
    prefix = front + where.prefix.encode()
    highest = b"(" + prefix + _LAST
    if after is not None:
        highest = min(highest, b"(" + front + after.encode())
    return highest, b"[" + prefix


def _index(keys: Keys, where: JobFilter) -> tuple[bytes, bytes]:
    """Return the index that comes nearest, of at most one parent, and what stands before the ids there."""
    if where.parents:
        return keys.children, where.parents[0].encode() + b"\0"
    return keys.dead if _dead_only(where) else keys.ids, b""
